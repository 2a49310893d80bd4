#pragma once
// Faults on purpose, so that tests and users can see a run survive them: `eddy-train --fault.kind=kill --fault.step=7
// --fault.rank=2` (docs/faults.md).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/options.h"
#include "io/faulty_file_system.h"

namespace eddy::train {

struct FaultOptions {
  /// none; of the process: kill, stop, term, int, usr1, segv, abort, exception, hang; of files: disk_full, io_error,
  /// slow_disk, torn_write, bit_flip, lost_file, lost_node, power_loss
  std::string kind = "none";
  /// step, saving, committing, deleting; auto: step for a process's kinds, saving for those of files
  std::string where = "auto";
  std::int64_t step = 1;   ///< while this step is computed, or the first save at or after it; counted from 1
  int rank = 0;            ///< which rank
  double after_ms = 0;     ///< that long after the step's begin, whatever the rank does then (signals only)
  int operation = 1;       ///< which file operation of saving, ... from that save on; counted from 1
  std::int64_t bytes = 0;  ///< disk_full, torn_write: that are still written; bit_flip: where in the write
  double delay_ms = 10;    ///< slow_disk: of each operation
  void add_to(Options& options);
  /// Throws Error (status 2) for a rank that is not there and for what the kind cannot have.
  void validate(int ranks) const;
};

/// Does to this process, or to its files, what the options say.
class Fault {
 public:
  Fault(const FaultOptions& options, int rank);
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
  /// At the begin of each step.
  void at_step(std::int64_t step) const;
  /// What saving and deleting go through; null: the disk as it is.
  io::FileSystem* files() { return files_.get(); }
  /// Before a save of this step begins (none is under way), before it is given its name, and before it deletes others.
  void at_saving(std::int64_t step);
  void at_committing();
  void at_deleting();
  /// When a checkpoint stands. Where it was damaged unseen the rank is killed, so that the next start finds it.
  void at_saved(const std::filesystem::path& checkpoint);

 private:
  void happen(std::int64_t step, const std::string& place) const;
  void lose_node(const std::filesystem::path& checkpoint) const;
  FaultOptions options_;
  bool mine_;
  std::int64_t saving_ = 0, struck_ = 0;  // the step being saved, and the one in whose save it happened
  std::unique_ptr<io::FaultyFileSystem> files_;
};

}  // namespace eddy::train
