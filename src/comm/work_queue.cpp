#include "comm/work_queue.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "comm/mpi_communicator.h"

namespace eddy::comm {
namespace {
constexpr int kAsk = 1, kAnswer = 2;                            // tags
constexpr std::uint64_t kNext = 0, kLeaves = 1, kStopsAll = 2;  // what a rank says
constexpr std::uint64_t kNone = ~std::uint64_t{0};
constexpr auto kPause = std::chrono::microseconds(200);  // between looks for a question: a core is not kept busy by it

void say(std::uint64_t word, MPI_Comm comm) {
  check(MPI_Send(&word, 1, MPI_UINT64_T, 0, kAsk, comm));
}
}  // namespace

WorkQueue::WorkQueue(Communicator& world, std::uint64_t tasks)
    : tasks_(tasks), rank_(world.rank()), size_(world.size()) {
  if (size_ == 1) return;
  int threads = 0;
  check(MPI_Query_thread(&threads));
  if (threads != MPI_THREAD_MULTIPLE)
    fail_run("this MPI cannot be used by several threads at once (MPI_THREAD_MULTIPLE), which dealing out work needs");
  MPI_Comm copy = MPI_COMM_NULL;
  check(MPI_Comm_dup(mpi_comm(world), &copy));
  comm_ = MpiHandle(copy);
  if (rank_ == 0) thread_ = std::thread([this] { answer(); });
}

WorkQueue::~WorkQueue() {
  if (size_ == 1) return;
  if (rank_ == 0)
    thread_.join();
  else
    MPI_Send(&kLeaves, 1, MPI_UINT64_T, 0, kAsk, comm_.get());
}

std::uint64_t WorkQueue::take() {
  if (stopped_) return kNone;
  const std::uint64_t mine = next_++;
  if (mine < tasks_) return mine;
  next_ = tasks_;
  return kNone;
}

/// Runs until every other rank has left.
void WorkQueue::answer() {
  for (int left = 0; left < size_ - 1;) {
    int here = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, kAsk, comm_.get(), &here, &status) != MPI_SUCCESS) return;
    if (!here) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    std::uint64_t word = 0;
    if (MPI_Recv(&word, 1, MPI_UINT64_T, status.MPI_SOURCE, kAsk, comm_.get(), MPI_STATUS_IGNORE) != MPI_SUCCESS)
      return;
    left += word == kLeaves;
    if (word == kStopsAll) stopped_ = true;
    if (word != kNext) continue;
    const std::uint64_t task = take();
    if (MPI_Send(&task, 1, MPI_UINT64_T, status.MPI_SOURCE, kAnswer, comm_.get()) != MPI_SUCCESS) return;
  }
}

std::optional<std::uint64_t> WorkQueue::next() {
  std::uint64_t task = kNone;
  if (rank_ == 0) {
    task = take();
  } else {
    say(kNext, comm_.get());
    check(MPI_Recv(&task, 1, MPI_UINT64_T, 0, kAnswer, comm_.get(), MPI_STATUS_IGNORE));
    next_ = task == kNone ? tasks_ : task + 1;
  }
  if (task == kNone) return std::nullopt;
  return task;
}

void WorkQueue::stop() {
  stopped_ = true;
  if (rank_ != 0) say(kStopsAll, comm_.get());
}

std::uint64_t WorkQueue::dealt() const {
  return std::min(next_.load(), tasks_);
}

}  // namespace eddy::comm
