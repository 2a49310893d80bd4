#include "checkpoint/staged_copy.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <future>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/process.h"
#include "checkpoint/manifest.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kPart = 8 * kChunkBytes;  // bytes that one thread hashes and writes at once
constexpr std::uint64_t kBatch = 4 * kPart;       // bytes of one buffer, about
constexpr const char* kPrefix = "eddy-staging.";

std::string name_of(const ProcessId& process) {
  return fmt::format("{}{}.{}.{}", kPrefix, process.host, process.pid, process.started);
}

/// What processes of this host left that were killed before their file had lost its name: it is empty, or nearly.
void remove_leftovers(io::FileSystem& files, const fs::path& folder, const std::string& host) {
  const std::string ours = kPrefix + host + ".";
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(ours)) continue;
    ProcessId process{host, "", 0, 0};
    const char *at = name.data() + ours.size(), *stop = name.data() + name.size();
    const auto pid = std::from_chars(at, stop, process.pid);
    if (pid.ptr == stop || *pid.ptr != '.' || std::from_chars(pid.ptr + 1, stop, process.started).ptr != stop) continue;
    if (!runs_here(process)) files.remove(it->path());
  }
}

}  // namespace

/// Bytes of a block on their way: in a buffer, and where they go.
struct StagedCopy::Part {
  std::size_t block;
  std::uint64_t first, bytes;  // in the block; first is a multiple of kPart
  char* data;
};

void StagedCopy::release() {
  blocks_.clear();
  file_.reset();
  direct_.reset();
}

/// Gives every block its place; returns the file's size.
std::uint64_t StagedCopy::place(const std::vector<tensor::Slice>& blocks, const std::vector<std::uint64_t>& offsets) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::uint64_t bytes = blocks[i].view.bytes();
    total += (offsets[i] - total) % kPage;
    blocks_.push_back({blocks[i].name, total, bytes, std::vector<std::uint64_t>(chunks_of(bytes))});
    total += bytes;
  }
  return (total + kPage - 1) / kPage * kPage;
}

void StagedCopy::take(io::FileSystem& files, const fs::path& folder, const std::vector<tensor::Slice>& blocks,
                      const std::vector<std::uint64_t>& offsets, const Options& options) {
  release();
  folder_ = folder;
  try {
    const ProcessId self = this_process();
    remove_leftovers(files, folder, self.host);
    const fs::path path = folder / name_of(self);
    const auto file = files.open(path, options.direct);
    file_ = io::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file_.get() < 0) fail_run("{}: cannot be opened: {}", path.string(), std::strerror(errno));
    if (options.direct) direct_ = io::Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    files.remove(path);
    file->reserve(place(blocks, offsets));
    copy(*file, blocks, options.threads);
    file->close();
  } catch (...) {
    release();
    throw;
  }
}

void StagedCopy::copy(io::OutputFile& file, const std::vector<tensor::Slice>& blocks, int threads) {
  std::future<void> writing;  // of the buffer before; waits where this is left by an exception
  std::vector<Part> parts;
  std::size_t turn = 0;
  std::uint64_t used = 0;
  const auto flush = [&] {
    stream_.synchronize();
    if (writing.valid()) writing.get();
    writing = std::async(std::launch::async, [this, &file, parts, threads] { write(file, parts, threads); });
    parts.clear();
    used = 0;
    ++turn;
  };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto* from = static_cast<const char*>(blocks[i].view.data);
    for (std::uint64_t first = 0; first < blocks_[i].bytes; first += kPart) {
      const std::uint64_t bytes = std::min(kPart, blocks_[i].bytes - first), at = blocks_[i].at + first;
      if (used > 0 && used + kPage + bytes > kBatch) flush();
      auto& buffer = buffers_[turn % 2];
      if (!buffer) buffer = std::make_unique<device::PinnedBuffer>(kBatch + 2 * kPage);
      // at the same place of a page as in the file
      const std::uint64_t address = reinterpret_cast<std::uintptr_t>(buffer->data()) + used;
      used += (at - address) % kPage;
      char* const to = static_cast<char*>(buffer->data()) + used;
      device::enqueue_to_host(stream_, from + first, to, bytes);
      parts.push_back({i, first, bytes, to});
      used += bytes;
    }
  }
  if (!parts.empty()) flush();
  if (writing.valid()) writing.get();
}

void StagedCopy::write(io::OutputFile& file, const std::vector<Part>& parts, int threads) {
  parallel_for(threads, parts.size(), [&](std::size_t p) {
    const Part& part = parts[p];
    Block& block = blocks_[part.block];
    for (std::uint64_t at = 0; at < part.bytes; at += kChunkBytes)
      block.hashes[(part.first + at) / kChunkBytes] = xxh3(part.data + at, std::min(kChunkBytes, part.bytes - at));
    file.write_at(part.data, part.bytes, block.at + part.first);
  });
}

void StagedCopy::read(std::size_t i, std::uint64_t first, std::uint64_t bytes, char* out, PageBuffer& pages) const {
  const Block& block = blocks_[i];
  try {
    SliceReader({block.tensor, block.bytes, block.at, block.hashes, file_.get(), direct_.get(), folder_.string()},
                Dtype::u8, Dtype::u8, pages)
        .read(first, bytes, out);
  } catch (const Error& e) {
    fail_run("the copy that waited in {}", e.what());
  }
}

}  // namespace eddy::checkpoint
