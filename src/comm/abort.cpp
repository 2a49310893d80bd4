#include "comm/abort.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/log.h"

namespace eddy::comm {
using namespace std::chrono_literals;

namespace {
constexpr int kAbortTag = 1;
constexpr auto kLadderStep = 250ms, kLadderEnd = 2000ms;  // by how much a rank lets the next lower one speak first
constexpr auto kPatience = 10s;                           // for another rank's MPI_Abort to reach this one
std::atomic<bool> finalize_allowed = true;
}  // namespace

void forbid_finalize() noexcept {
  finalize_allowed = false;
}

bool may_finalize() noexcept {
  return finalize_allowed;
}

bool Abort::announced() const {
  if (!control_) return false;
  int flag = 0;
  return MPI_Iprobe(MPI_ANY_SOURCE, kAbortTag, control_.get(), &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && flag;
}

void Abort::announce() const {
  if (!control_) return;
  for (int r = 0; r < size_; ++r) {  // nobody receives these: the message's arrival is the news
    MPI_Request request;
    if (r != rank_ && MPI_Isend(nullptr, 0, MPI_BYTE, r, kAbortTag, control_.get(), &request) == MPI_SUCCESS)
      MPI_Request_free(&request);
  }
}

void Abort::end(int status) {
  std::fflush(nullptr);
  alarm(20);  // should MPI_Abort itself hang, the kernel ends this process, and thereby the job
  MPI_Abort(MPI_COMM_WORLD, status);
  _exit(status);
}

void Abort::now(int status, const std::string& message, const std::function<void()>& last) {
  const std::lock_guard lock(mutex_);
  const auto turn =
      std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(rank_ * kLadderStep, kLadderEnd);
  const auto end_of_patience = turn + kPatience;
  bool quiet = announced();
  while (std::chrono::steady_clock::now() < (quiet ? end_of_patience : turn)) {
    std::this_thread::sleep_for(10ms);
    quiet = quiet || announced();
  }
  announce();
  log::error("{}", message);
  std::fflush(nullptr);
  if (last) last();
  end(status);
}

void Abort::await(int status) {
  std::this_thread::sleep_for(kPatience);
  end(status);
}

}  // namespace eddy::comm
