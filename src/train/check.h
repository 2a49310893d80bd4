#pragma once
// eddy-train --check: the layout, every rank's tensors and memory for any number of ranks, in one process and without
// weights.
#include <string>

#include "train/options.h"

namespace eddy::train {

/// What --check prints, as text or (config.json) JSON, for `ranks` ranks unless parallel.world says otherwise. Throws
/// Error (status 2) for whatever a run would refuse.
std::string check(const Config& config, int ranks);

}  // namespace eddy::train
