#include "checkpoint/chunk_reader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/manifest.h"

namespace eddy::checkpoint {
namespace {

constexpr std::uint64_t kAtOnce = 4 * kChunkBytes;  // read by one call where whole pieces go to their place

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

/// Whole pieces from byte `at` on straight to their place; returns their bytes, perhaps none.
std::uint64_t SliceReader::read_whole(std::uint64_t at, std::uint64_t bytes, char* out) {
  if (stored_ != wanted_ || at % kChunkBytes != 0) return 0;
  const bool to_end = at + bytes == s_.bytes;
  const std::uint64_t n = std::min(to_end ? bytes : bytes / kChunkBytes * kChunkBytes, kAtOnce);
  if (n == 0) return 0;
  read_at(s_.file, out, n, s_.offset + at, s_.path);
  for (std::uint64_t done = 0; done < n; done += kChunkBytes)
    require((at + done) / kChunkBytes, out + done, std::min(kChunkBytes, n - done));
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
  for (std::uint64_t chunk = begin / kChunkBytes; chunk * kChunkBytes < end; ++chunk) load(chunk);
}

}  // namespace eddy::checkpoint
