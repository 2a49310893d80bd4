#include "device/arena.h"

#include <algorithm>

#include "base/error.h"
#include "base/units.h"

namespace eddy::device {
namespace {
constexpr std::size_t kGranule = 512;
}

Arena::Arena(void* base, std::size_t bytes, std::function<void(void*)> release)
    : base_(static_cast<std::byte*>(base)), bytes_(bytes / kGranule * kGranule), release_(std::move(release)) {
  if (bytes_) add_free(0, bytes_);
}
Arena::~Arena() {
  if (release_) release_(base_);
}

void Arena::add_free(std::size_t offset, std::size_t size) {
  free_.emplace(offset, size);
  by_size_.emplace(size, offset);
}
void Arena::remove_free(std::map<std::size_t, std::size_t>::iterator at) {
  auto [first, last] = by_size_.equal_range(at->second);
  by_size_.erase(std::find_if(first, last, [&](const auto& e) { return e.second == at->first; }));
  free_.erase(at);
}
std::size_t Arena::largest_free() const {
  return by_size_.empty() ? 0 : by_size_.rbegin()->first;
}

void* Arena::take(std::size_t bytes) {
  const std::size_t size = std::max<std::size_t>((bytes + kGranule - 1) / kGranule, 1) * kGranule;
  const auto fit = by_size_.lower_bound(size);
  if (fit == by_size_.end())
    fail_run(
        "out of device memory: {} asked for, {} of {} in use, the largest free range is {} (train.recompute, a "
        "smaller train.micro_batch or train.seq_len, or more ranks need less)",
        bytes_text(static_cast<double>(size)), bytes_text(static_cast<double>(in_use_)),
        bytes_text(static_cast<double>(bytes_)), bytes_text(static_cast<double>(largest_free())));
  const auto range = free_.find(fit->second);
  const auto [offset, available] = *range;
  remove_free(range);
  if (available > size) add_free(offset + size, available - size);
  used_.emplace(offset, size);
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  return base_ + offset;
}

void Arena::give(void* data) {
  auto offset = static_cast<std::size_t>(static_cast<std::byte*>(data) - base_);
  const auto used = used_.find(offset);
  if (used == used_.end()) return;  // not ours: nothing that a destructor could do
  std::size_t size = used->second;
  in_use_ -= size;
  used_.erase(used);
  const auto after = free_.lower_bound(offset);
  if (after != free_.end() && after->first == offset + size) {
    size += after->second;
    remove_free(after);
  }
  const auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove_free(before);
    }
  }
  add_free(offset, size);
}

}  // namespace eddy::device
