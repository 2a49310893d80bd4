#pragma once
// What carries a GPU's data to other ranks, by choice of the user (comm.backend).
#include <string>

#include "base/error.h"

namespace eddy::comm {

enum class Backend { automatic, nccl, mpi };  ///< automatic: NCCL where each rank has a GPU of its own
/// "auto", "nccl", "mpi"; throws Error (status 2) for another.
inline Backend parse_backend(const std::string& name) {
  if (name == "auto") return Backend::automatic;
  if (name == "nccl") return Backend::nccl;
  if (name == "mpi") return Backend::mpi;
  fail_input("comm.backend = {}: allowed are auto, nccl, mpi", name);
}

}  // namespace eddy::comm
