#pragma once
#include "comm/session.h"

namespace eddy::train {

/// eddy-train: options, then --check or the run. Returns the exit status.
int program(comm::Session& session, int argc, char** argv);

}  // namespace eddy::train
