#pragma once
// Where work runs, and in what order. A Stream without CUDA stands for the calling thread: work is done when a call
// returns. A CUDA stream is made by device::Gpu (device/gpu.h); copies of it share one state.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <typeindex>
#include <unordered_map>

#include "device/arena.h"

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
inline constexpr bool kCuda = true;  ///< this program was built with CUDA
#else
inline constexpr bool kCuda = false;
#endif

enum class Kind : std::uint8_t { cpu, cuda };

/// An ordered queue of work on one device, with the memory that work on it may use.
class Stream {
 public:
  Stream() = default;  ///< the CPU
  /// native: a cudaStream_t; arena: device memory whose users all enqueue on this stream (or wait for it).
  Stream(void* native, std::shared_ptr<Arena> arena)
      : kind_(Kind::cuda), state_(std::make_shared<State>(State{native, std::move(arena), {}})) {}

  Kind kind() const { return kind_; }
  bool on_gpu() const { return kCuda && kind_ == Kind::cuda; }
  void* native() const { return state_ ? state_->native : nullptr; }       ///< the cudaStream_t
  Arena* arena() const { return state_ ? state_->arena.get() : nullptr; }  ///< null on the CPU
  /// Waits until everything enqueued is done.
  void synchronize() const;

  /// What a kernel keeps between calls on this stream (a library handle, a cache of plans): one T, made at first use by
  /// T(stream). Lives as long as the stream.
  template <class T>
  T& state() const {
    auto& slot = state_->kept[std::type_index(typeid(T))];
    if (!slot) slot = std::make_shared<T>(*this);
    return *static_cast<T*>(slot.get());
  }

 private:
  struct State {
    void* native;
    std::shared_ptr<Arena> arena;
    std::unordered_map<std::type_index, std::shared_ptr<void>> kept;
  };
  Kind kind_ = Kind::cpu;
  std::shared_ptr<State> state_;
};

/// Device memory for the time of one kernel's calls: taken from the stream's arena, given back at the end of the scope.
/// Later work on the same stream may use it again, which is safe since the stream runs in order.
class Scratch {
 public:
  Scratch(const Stream& stream, std::size_t bytes)
      : arena_(stream.arena()), data_(arena_ && bytes ? arena_->take(bytes) : nullptr) {}
  ~Scratch() {
    if (data_) arena_->give(data_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Arena* arena_;
  void* data_;
};

/// Copies between host and device memory in either direction, in the stream's order. The host side of an asynchronous
/// copy must stay until the stream was synchronised, so this waits when the host's side is read or written: both return
/// with the copy done.
void copy_to_host(const Stream& stream, const void* device, void* host, std::size_t bytes);
void copy_to_device(const Stream& stream, const void* host, void* device, std::size_t bytes);
/// Sets device memory to zero bytes, in the stream's order; on the CPU stream, host memory at once.
void zero(const Stream& stream, void* data, std::size_t bytes);

}  // namespace eddy::device
