#include "checkpoint/host_copy.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/units.h"

namespace eddy::checkpoint {
namespace {
constexpr std::size_t kPage = 4096;
constexpr std::size_t kPart = std::size_t{8} << 20;  // bytes that one thread copies at once
}  // namespace

HostCopy::~HostCopy() {
  if (mapped_) ::munmap(mapped_, bytes_);
}

void HostCopy::grow(std::size_t bytes) {
  if (bytes <= bytes_) return;
  if (stream_.on_gpu()) {
    pinned_.reset();
    pinned_ = std::make_unique<device::PinnedBuffer>(bytes + kPage);
  } else {
    if (mapped_) ::munmap(std::exchange(mapped_, nullptr), bytes_);
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
      fail_run("no host memory for the copy of a checkpoint ({}): {}; checkpoint.async = off saves without one",
               bytes_text(static_cast<double>(bytes)), std::strerror(errno));
    (void)::madvise(at, bytes, MADV_HUGEPAGE);  // fewer faults at the first copy
    mapped_ = at;
  }
  bytes_ = bytes;
}

std::vector<tensor::Slice> HostCopy::take(const std::vector<tensor::Slice>& blocks,
                                          const std::vector<std::uint64_t>& offsets, int threads) {
  std::vector<std::size_t> at;
  std::size_t total = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    total += (offsets[i] - total) % kPage;
    at.push_back(total);
    total += blocks[i].view.bytes();
  }
  grow((total + kPage - 1) / kPage * kPage);
  char* base = static_cast<char*>(mapped_);
  if (pinned_) {
    const auto address = reinterpret_cast<std::uintptr_t>(pinned_->data());
    base = static_cast<char*>(pinned_->data()) + (kPage - address % kPage) % kPage;
  }
  std::vector<tensor::Slice> out = blocks;
  struct Part {
    char* to;
    const char* from;
    std::size_t bytes;
  };
  std::vector<Part> parts;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto* from = static_cast<const char*>(blocks[i].view.data);
    const std::size_t bytes = blocks[i].view.bytes();
    out[i].view.data = base + at[i];
    if (stream_.on_gpu()) {
      if (bytes > 0) device::enqueue_to_host(stream_, from, base + at[i], bytes);
      continue;
    }
    for (std::size_t done = 0; done < bytes; done += kPart)
      parts.push_back({base + at[i] + done, from + done, std::min(kPart, bytes - done)});
  }
  if (stream_.on_gpu())
    stream_.synchronize();
  else
    parallel_for(threads, parts.size(),
                 [&](std::size_t i) { std::memcpy(parts[i].to, parts[i].from, parts[i].bytes); });
  return out;
}

}  // namespace eddy::checkpoint
