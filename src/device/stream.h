#pragma once
// Where work runs, and in what order. Without CUDA a Stream stands for the calling thread: work is done when a call
// returns.
#include <cstdint>

namespace eddy::device {

enum class Kind : std::uint8_t { cpu, cuda };

/// An ordered queue of work on one device.
class Stream {
 public:
  Stream() = default;
  Kind kind() const { return kind_; }
  /// Waits until everything enqueued is done.
  void synchronize() const {}

 private:
  Kind kind_ = Kind::cpu;
};

}  // namespace eddy::device
