#include "checkpoint/chunk_hashes.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/agree.h"
#include "io/file.h"

namespace eddy::checkpoint {

void ChunkHashes::add(const Extent& t, std::uint64_t first, std::uint64_t count, const void* data) {
  for (std::uint64_t c = (first + kChunkBytes - 1) / kChunkBytes; c < t.chunks(); ++c) {
    const std::uint64_t begin = c * kChunkBytes, bytes = std::min(kChunkBytes, t.bytes() - begin);
    if (begin + bytes > first + count) return;
    hashes_[t.first_chunk + c] = xxh3(static_cast<const char*>(data) + (begin - first), bytes);
    ++seen_[t.first_chunk + c];
  }
}

void ChunkHashes::complete(comm::Communicator& world, const std::string& data_file) {
  if (hashes_.empty()) return;
  world.all_reduce(seen_.data(), seen_.size(), Dtype::i32, comm::Reduce::sum);
  agree(world, [&] {
    const io::Descriptor file(::open(data_file.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) fail_run("{}: cannot be read back: {}", data_file, std::strerror(errno));
    std::vector<char> buffer;
    int turn = 0;
    for (const Extent& t : manifest_.tensors)
      for (std::uint64_t c = 0; c < t.chunks(); ++c) {
        const std::int32_t seen = seen_[t.first_chunk + c];
        if (seen > 1) fail_run("tensor '{}': {} ranks own the same elements of it", t.name, seen);
        if (seen == 1 || turn++ % world.size() != world.rank()) continue;
        buffer.resize(std::min(kChunkBytes, t.bytes() - c * kChunkBytes));
        read_at(file.get(), buffer.data(), buffer.size(), t.offset + c * kChunkBytes, data_file);
        hashes_[t.first_chunk + c] = xxh3(buffer.data(), buffer.size());
      }
  });
  // one rank has each hash, the others 0: their sum is the hash
  world.all_reduce(hashes_.data(), hashes_.size(), Dtype::i64, comm::Reduce::sum);
}

std::string combine(const std::uint64_t* hashes, std::uint64_t count) {
  return hex64(xxh3(hashes, count * 8));
}

}  // namespace eddy::checkpoint
