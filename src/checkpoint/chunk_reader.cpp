#include "checkpoint/chunk_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/manifest.h"

namespace eddy::checkpoint {
namespace {

constexpr std::uint64_t kPage = 4096;
static_assert(PageBuffer::kBytes % kChunkBytes == 0);

/// Stored elements as they are wanted; `bytes` are of the stored ones.
void convert(const char* from, std::uint64_t bytes, Dtype stored, Dtype wanted, char* out) {
  if (stored == wanted) {
    std::memcpy(out, from, bytes);
    return;
  }
  for (std::uint64_t i = 0; i < bytes; i += 2, out += 4) {
    std::uint16_t bits;
    std::memcpy(&bits, from + i, 2);
    const float value = bf16_to_float(bits);
    std::memcpy(out, &value, 4);
  }
}

}  // namespace

char* PageBuffer::data() {
  if (!memory_) memory_.reset(static_cast<char*>(std::aligned_alloc(kPage, kBytes + 2 * kPage)));
  return memory_.get();
}

void SliceReader::require(std::uint64_t chunk, const char* data, std::uint64_t bytes) const {
  if (xxh3(data, bytes) == s_.hashes[chunk]) return;
  fail_input("{}: tensor '{}' is damaged (bytes {} to {} of the file do not have their checksum)", s_.path, s_.tensor,
             s_.offset + chunk * kChunkBytes, s_.offset + chunk * kChunkBytes + bytes);
}

void SliceReader::load(std::uint64_t chunk) {
  const std::uint64_t begin = chunk * kChunkBytes;
  held_ = UINT64_MAX;
  buffer_.resize(std::min(kChunkBytes, s_.bytes - begin));
  read_at(s_.file, buffer_.data(), buffer_.size(), s_.offset + begin, s_.path);
  require(chunk, buffer_.data(), buffer_.size());
  held_ = chunk;
}

/// Bytes [at, at + bytes) of the slice: in `out`, or, past the page cache, in the thread's own memory until its next
/// call. A few threads of such reads keep a disk busy with hardly any of a core's time.
const char* SliceReader::fetch(std::uint64_t at, std::uint64_t bytes, char* out) {
  char* const memory = s_.direct >= 0 && bytes >= kChunkBytes ? pages_.data() : nullptr;
  const std::uint64_t begin = (s_.offset + at) / kPage * kPage, shift = s_.offset + at - begin;
  const std::uint64_t end = (shift + bytes + kPage - 1) / kPage * kPage;
  if (memory) {
    std::uint64_t done = 0;
    while (done < shift + bytes) {  // the file's last page may be a part of one
      const ssize_t n = ::pread(s_.direct, memory + done, end - done, static_cast<off_t>(begin + done));
      if (n <= 0) break;
      done += static_cast<std::uint64_t>(n);
      if (n % static_cast<ssize_t>(kPage) != 0) break;
    }
    if (done >= shift + bytes) return memory + shift;
  }
  read_at(s_.file, out, bytes, s_.offset + at, s_.path);
  return out;
}

/// Whole pieces from byte `at` on straight to their place; returns their bytes, perhaps none.
std::uint64_t SliceReader::read_whole(std::uint64_t at, std::uint64_t bytes, char* out) {
  if (stored_ != wanted_ || at % kChunkBytes != 0) return 0;
  const bool to_end = at + bytes == s_.bytes;
  const std::uint64_t n = std::min(to_end ? bytes : bytes / kChunkBytes * kChunkBytes, PageBuffer::kBytes);
  if (n == 0) return 0;
  const char* from = fetch(at, n, out);
  for (std::uint64_t done = 0; done < n; done += kChunkBytes)
    require((at + done) / kChunkBytes, from + done, std::min(kChunkBytes, n - done));
  if (from != out) std::memcpy(out, from, n);
  return n;
}

void SliceReader::read(std::uint64_t first, std::uint64_t count, char* out) {
  const std::uint64_t width = size_of(stored_);
  std::uint64_t at = first * width, bytes = count * width;
  while (bytes > 0) {
    std::uint64_t n = read_whole(at, bytes, out);
    if (n == 0) {
      const std::uint64_t chunk = at / kChunkBytes, within = at % kChunkBytes;
      if (chunk != held_) load(chunk);
      n = std::min(bytes, buffer_.size() - within);
      convert(buffer_.data() + within, n, stored_, wanted_, out);
    }
    out += n / width * size_of(wanted_);
    at += n;
    bytes -= n;
  }
}

void SliceReader::check(std::uint64_t begin, std::uint64_t end) {
  buffer_.resize(std::min(PageBuffer::kBytes, end - begin));
  held_ = UINT64_MAX;
  for (std::uint64_t at = begin; at < end; at += PageBuffer::kBytes) {
    const std::uint64_t n = std::min(PageBuffer::kBytes, end - at);
    const char* from = fetch(at, n, buffer_.data());
    for (std::uint64_t done = 0; done < n; done += kChunkBytes)
      require((at + done) / kChunkBytes, from + done, std::min(kChunkBytes, n - done));
  }
}

}  // namespace eddy::checkpoint
