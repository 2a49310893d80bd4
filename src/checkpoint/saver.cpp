#include "checkpoint/saver.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/agree.h"
#include "checkpoint/write.h"
#include "io/file_system.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr int kTag = 7302;  // of the messages that bring hashes to rank 0

io::FileSystem& file_system(const SaveOptions& options) {
  return options.files ? *options.files : io::disk();
}

/// Steps come first where cores are few: this thread, and those it starts, get what is left of them.
void be_nice() {
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
}

void prepare(io::FileSystem& files, const fs::path& dir, const fs::path& unfinished, const io::Stripes& stripes) {
  std::error_code ignored;
  if (fs::is_directory(dir, ignored) && fs::is_empty(dir, ignored)) files.remove(dir);  // holds nothing: no loss
  if (fs::exists(dir) && !is_checkpoint(dir))
    fail_input("{} exists and is no checkpoint; it is not overwritten", dir.string());
  io::remove_all(files, unfinished);
  files.make_folder(unfinished);
  io::set_stripes(files, unfinished, stripes);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Saver::Saver(comm::Communicator& world, device::Stream stream)
    : world_(world), stream_(stream), copy_(stream), staged_(stream) {}

Saver::~Saver() = default;  // the thread is joined

bool Saver::same_blocks(const std::vector<tensor::Slice>& owned) const {
  const auto same = [](const tensor::Slice& a, const tensor::Slice& b) {
    return a.name == b.name && a.global_shape == b.global_shape && a.begin == b.begin && a.view.dtype == b.view.dtype &&
           a.view.shape == b.view.shape;
  };
  return plan_ && job_.options.ranks_per_file == planned_ranks_per_file_ &&
         std::equal(owned.begin(), owned.end(), planned_.begin(), planned_.end(), same);
}

void Saver::run(const std::function<void()>& work) {
  error_ = nullptr;
  busy_ = true;
  thread_ = std::jthread([this, work] {
    try {
      work();
    } catch (...) {
      error_ = std::current_exception();
    }
    busy_ = false;
  });
}

/// Brings the blocks to where they wait to be written, or writes them at once.
void Saver::take_copy() {
  std::vector<std::uint64_t> offsets;
  for (const auto& place : plan_->places) offsets.push_back(place.offset);
  if (job_.copy && job_.options.staging.empty())
    job_.owned = copy_.take(job_.owned, offsets, job_.options.threads);
  else if (!job_.copy || !stage(offsets))
    write();
}

bool Saver::stage(const std::vector<std::uint64_t>& offsets) {
  const auto start = std::chrono::steady_clock::now();
  const SaveOptions& o = job_.options;
  try {
    staged_.take(file_system(o), o.staging, job_.owned, offsets, {o.threads, o.direct});
  } catch (const Error& e) {
    if (!stage_failed_)
      log::warning("checkpoint.staging = {} cannot take this rank's copy: {}. It is written while training waits",
                   o.staging.string(), e.what());
    stage_failed_ = true;
    return false;
  }
  stage_failed_ = false;
  stage_s_ = seconds_since(start);
  return true;
}

/// This rank's blocks into the checkpoint's file, from where they are.
void Saver::write() {
  const auto start = std::chrono::steady_clock::now();
  std::vector<tensor::Slice> blocks = job_.owned;
  SaveOptions options = job_.options;
  const bool on_gpu = stream_.on_gpu() && !staged_.held() && (!job_.copy || !options.staging.empty());
  if (on_gpu) {  // they lie there still: each by way of the host's memory, one after the other
    for (auto& b : blocks) b.view.data = nullptr;
    options.fill = [this](std::size_t i, void* to) {
      device::copy_to_host(stream_, job_.owned[i].view.data, to, job_.owned[i].view.bytes());
    };
  }
  hashes_ =
      write_blocks(file_system(options), unfinished_, *plan_, blocks, options, staged_.held() ? &staged_ : nullptr);
  staged_.release();
  written_ = true;
  write_s_ = seconds_since(start);
}

void Saver::set_copied() {
  copied_ = true;
  copied_.notify_all();
}

void Saver::begin(Job job) {
  if (active()) fail_run("a checkpoint is begun while another one is being saved");
  job_ = std::move(job);
  job_.dir = job_.dir.has_filename() ? job_.dir : job_.dir.parent_path();  // "x/" is x
  unfinished_ = job_.dir.string() + ".tmp";
  std::int32_t changed = same_blocks(job_.owned) ? 0 : 1;
  world_.all_reduce(&changed, 1, Dtype::i32, comm::Reduce::max);
  if (changed) {
    plan_.reset();
    plan_ = std::make_unique<Plan>(make_plan(world_, job_.owned, job_.options.ranks_per_file));
    planned_ = job_.owned;
    for (tensor::Slice& s : planned_) s.view.data = nullptr;
    planned_ranks_per_file_ = job_.options.ranks_per_file;
  }
  agree(world_, [&] {
    if (world_.rank() == 0) prepare(file_system(job_.options), job_.dir, unfinished_, job_.options.stripes);
  });
  written_ = false;
  stage_s_ = 0;
  staged_.release();  // of a save that failed
  bytes_ = 0;
  for (const auto& s : job_.owned) bytes_ += s.view.bytes();
  const bool on_thread = job_.copy && !copy_.from_gpu();
  if (copy_.from_gpu()) try {
      agree(world_, [&] { take_copy(); });
    } catch (...) {
      clear();
      throw;
    }
  phase_ = Phase::writing;
  copied_ = !on_thread;
  run([this, on_thread] {
    if (on_thread) {
      try {
        take_copy();
      } catch (...) {
        set_copied();
        throw;
      }
      set_copied();
    }
    if (job_.copy) be_nice();
    if (!written_) write();
  });
}

Saver::Local Saver::local() const {
  const bool busy = busy_;
  return {busy, !busy && error_ != nullptr};
}

void Saver::collect_hashes() {
  const int me = world_.rank();
  if (me != 0) {
    world_.isend(hashes_.data(), hashes_.size(), Dtype::i64, 0, kTag)->wait();
    return;
  }
  Manifest& m = plan_->manifest;
  std::vector<std::uint64_t> hashes = hashes_;
  for (std::size_t rank = 0; rank < plan_->targets.size(); ++rank) {
    const auto& targets = plan_->targets[rank];
    if (rank > 0) {
      hashes.resize(targets.size());
      world_.recv(hashes.data(), hashes.size(), Dtype::i64, static_cast<int>(rank), kTag);
    }
    for (std::size_t i = 0; i < targets.size(); ++i)
      m.tensors[targets[i].tensor].slices[targets[i].slice].xxh3 = hashes[i];
  }
}

/// Every rank has stopped, and one at least has failed.
void Saver::fail() {
  phase_ = Phase::idle;
  try {
    agree(world_, [&] {
      if (error_) std::rethrow_exception(error_);
    });
  } catch (...) {
    clear();
    throw;
  }
}

/// After a failure: what was written goes, where that can be.
void Saver::clear() {
  if (world_.rank() != 0) return;
  try {
    io::remove_all(file_system(job_.options), unfinished_);
  } catch (const Error&) {  // the failure itself is what is told
  }
}

bool Saver::advance(bool any_busy, bool any_failed) {
  if (!active() || any_busy) return false;
  if (thread_.joinable()) thread_.join();
  if (any_failed) fail();
  if (phase_ == Phase::committing) {
    phase_ = Phase::idle;
    return true;
  }
  collect_hashes();
  phase_ = Phase::committing;
  if (world_.rank() == 0)
    run([this] {
      plan_->manifest.meta = job_.meta;
      if (job_.committing) job_.committing();
      commit(file_system(job_.options), unfinished_, job_.dir, plan_->manifest, job_.options.attachments);
      if (job_.committed) try {
          job_.committed();
        } catch (const std::exception& e) {
          log::warning("{} stands, but {}", job_.dir.string(), e.what());
        }
    });
  return false;
}

void Saver::wait() {
  while (active()) {
    if (thread_.joinable()) thread_.join();
    std::int32_t failed = local().failed ? 1 : 0;
    world_.all_reduce(&failed, 1, Dtype::i32, comm::Reduce::max);
    advance(false, failed != 0);
  }
}

void save(comm::Communicator& world, const fs::path& dir, const nlohmann::json& meta,
          const std::vector<tensor::Slice>& owned, const SaveOptions& options) {
  Saver saver(world);
  saver.begin({dir, meta, owned, options, false, {}, {}});
  saver.wait();
}

}  // namespace eddy::checkpoint
