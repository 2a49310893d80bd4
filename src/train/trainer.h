#pragma once
#include <string>

#include "comm/session.h"
#include "train/options.h"

namespace eddy::train {

/// Trains as configured, from the run's newest checkpoint where there is one. Collective over the session's world.
/// `config_ini` is kept in the run's folder. Returns Exit::done, or Exit::stopped when a signal or run.stop_after ended
/// the run with its state saved. Throws Error: status 2 for what cannot be trained (before memory is taken), 1 when too
/// many steps in a row were not finite.
int train(comm::Session& session, const Config& config, const std::string& config_ini);

}  // namespace eddy::train
