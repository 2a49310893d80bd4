#pragma once
// Faults on purpose, so that tests and users can see a run survive them: `eddy-train --fault.kind=kill --fault.step=7
// --fault.rank=2`.
#include <cstdint>
#include <string>

#include "base/options.h"

namespace eddy::train {

struct FaultOptions {
  std::string kind = "none";  ///< none, kill, stop, term, int, usr1, segv, abort, exception, hang
  std::int64_t step = 1;      ///< while this step is computed; counted from 1
  int rank = 0;               ///< which rank
  double after_ms = 0;        ///< that long after the step's begin, whatever the rank does then (signals only)
  void add_to(Options& options);
  /// Throws Error (status 2) for a rank that is not there and for a delay that the kind cannot have.
  void validate(int ranks) const;
};

/// Does to this process what the options say; call it at the begin of each step.
class Fault {
 public:
  Fault(const FaultOptions& options, int rank) : options_(options), mine_(options.rank == rank) {}
  void at_step(std::int64_t step) const;

 private:
  FaultOptions options_;
  bool mine_;
};

}  // namespace eddy::train
