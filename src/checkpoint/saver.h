#pragma once
// Saving while training goes on: a thread copies the blocks, which the next update waits for, and writes the copy; at
// later steps the ranks agree on what has come of it. The thread calls neither MPI nor HDF5.
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/host_copy.h"
#include "checkpoint/plan.h"
#include "checkpoint/staged_copy.h"

namespace eddy::checkpoint {

class Saver {
 public:
  /// `world` must outlive it. `stream`: where the blocks lie.
  explicit Saver(comm::Communicator& world, device::Stream stream = {});
  ~Saver();  ///< waits for this rank's thread; what was not committed stays as a *.tmp folder
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  struct Job {
    std::filesystem::path dir;  ///< as for save()
    nlohmann::json meta;        ///< rank 0's counts
    std::vector<tensor::Slice> owned;
    SaveOptions options;
    /// The blocks are copied, and may change after wait_for_copy(); else they must stay as they are until the end.
    /// What lies on a GPU is copied (or, without a copy, written) before begin() returns. With options.staging the copy
    /// waits there; a rank whose folder cannot take it warns, and writes its blocks while wait_for_copy() waits.
    bool copy = true;
    /// Rank 0, on the thread: before attachments and manifest are written.
    std::function<void()> committing;
    /// Rank 0, on the thread, when the checkpoint has its name: what is to be deleted, for example. The checkpoint
    /// stands then whatever comes: what is thrown here is logged as a warning.
    std::function<void()> committed;
  };
  /// Begins a save; none may be under way. Collective. Throws on every rank, as save().
  void begin(Job job);
  /// Returns when this rank's blocks may change (at once where no copy is being made).
  void wait_for_copy() const { copied_.wait(false); }
  /// Is a save under way? The same on all ranks.
  bool active() const { return phase_ != Phase::idle; }

  /// What this rank's thread does: part of what the ranks tell each other at the end of a step.
  struct Local {
    bool busy = false, failed = false;
  };
  Local local() const;
  /// Goes on with a save, given whether any rank is busy and whether any has failed (the same on all ranks). Collective
  /// where none is busy. True: the checkpoint stands. Throws on every rank, naming one that failed; the save is then
  /// over.
  bool advance(bool any_busy, bool any_failed);
  /// To the end of the save under way, if any. Collective. Throws as advance().
  void wait();

  // Of the last save, this rank:
  double write_seconds() const { return write_s_; }  ///< of its thread, until its blocks were on the disk
  double stage_seconds() const { return stage_s_; }  ///< until they lay in options.staging; 0 where they did not
  std::uint64_t bytes() const { return bytes_; }     ///< of its blocks
  std::size_t copy_bytes() const { return copy_.bytes(); }

 private:
  enum class Phase { idle, writing, committing };
  void run(const std::function<void()>& work);
  void take_copy();
  bool stage(const std::vector<std::uint64_t>& offsets);
  void write();
  void set_copied();
  void collect_hashes();
  void fail();
  void clear();
  bool same_blocks(const std::vector<tensor::Slice>& owned) const;

  comm::Communicator& world_;
  device::Stream stream_;
  HostCopy copy_;
  StagedCopy staged_;
  bool written_ = false;       // this rank's blocks, in the save under way
  bool stage_failed_ = false;  // the last time; told once in a row
  Phase phase_ = Phase::idle;
  Job job_;
  std::filesystem::path unfinished_;
  std::unique_ptr<Plan> plan_;
  std::vector<tensor::Slice> planned_;  // the blocks that the plan is for, without their data
  int planned_ranks_per_file_ = 0;
  std::vector<std::uint64_t> hashes_;
  double write_s_ = 0, stage_s_ = 0;
  std::uint64_t bytes_ = 0;
  std::atomic<bool> busy_ = false, copied_ = true;
  std::exception_ptr error_;  // the thread's, once it is not busy
  std::jthread thread_;
};

}  // namespace eddy::checkpoint
