#pragma once
// One block of memory, dealt out without asking the system: so that a training step allocates nothing. Only arithmetic
// on addresses, so it works for device memory and is tested without a GPU.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace eddy::device {

/// Best fit over the free ranges, 512-byte granules. Not thread-safe: one arena belongs to one stream's host thread.
class Arena {
 public:
  /// Takes over `base` (aligned to 512); `release` frees it at the end.
  Arena(void* base, std::size_t bytes, std::function<void(void*)> release);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Throws Error (status 1), saying what is in use and what would help, where no free range is large enough. 0 bytes
  /// take a granule.
  void* take(std::size_t bytes);
  void give(void* data);

  std::size_t size() const { return bytes_; }
  std::size_t in_use() const { return in_use_; }
  std::size_t peak() const { return peak_; }  ///< the most in use since the last reset_peak()
  void reset_peak() { peak_ = in_use_; }
  std::size_t largest_free() const;

 private:
  std::byte* base_;
  std::size_t bytes_, in_use_ = 0, peak_ = 0;
  std::function<void(void*)> release_;
  std::map<std::size_t, std::size_t> free_;          // offset → size
  std::multimap<std::size_t, std::size_t> by_size_;  // size → offset, of the same ranges
  std::map<std::size_t, std::size_t> used_;          // offset → size
  void add_free(std::size_t offset, std::size_t size);
  void remove_free(std::map<std::size_t, std::size_t>::iterator at);
};

}  // namespace eddy::device
