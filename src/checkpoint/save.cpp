#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"
#include "checkpoint/agree.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/chunk_hashes.h"
#include "checkpoint/layout.h"
#include "checkpoint/manifest.h"
#include "io/file.h"
#include "io/folder.h"
#include "tensor/runs.h"
#include "tensor/tensor.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");

void write_at(int file, const void* data, std::uint64_t bytes, std::uint64_t offset, const std::string& where) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(file, at, std::min<std::uint64_t>(bytes, 1u << 30), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot write {}: {}", where, std::strerror(errno));
    at += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::uint64_t>(n);
  }
}

io::Descriptor open_to_write(const std::string& path) {
  io::Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) fail_run("cannot open {} for writing: {}", path, std::strerror(errno));
  return file;
}

void sync_and_close(io::Descriptor& file, const std::string& path) {
  if (::fsync(file.get()) != 0 || file.reset() != 0) fail_run("cannot write {}: {}", path, std::strerror(errno));
}

/// Writes this rank's blocks into the data file and hashes what it can; on return they are on the disk.
void write_blocks(const std::string& path, const Manifest& manifest, const std::vector<tensor::Slice>& owned,
                  const SaveOptions& options, ChunkHashes& hashes) {
  std::map<std::string, const Extent*> extents;
  for (const Extent& t : manifest.tensors) extents[t.name] = &t;
  io::Descriptor file = open_to_write(path);
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < owned.size(); ++i) {
    const tensor::Slice& s = owned[i];
    const Extent& t = *extents.at(s.name);
    const std::size_t width = size_of(t.dtype);
    tensor::Tensor made;
    const void* data = s.view.data;
    if (!s.view.contiguous()) fail_run("tensor '{}': a contiguous block is needed", s.name);
    if (!data && s.view.numel() > 0) {
      if (!options.fill) fail_run("tensor '{}': a block without data", s.name);
      made = tensor::Tensor(s.view.shape, s.view.dtype);
      options.fill(i, made.view().data);
      data = made.view().data;
    }
    tensor::for_each_run(
        t.shape, s.begin, s.view.shape.vector(), [&](std::int64_t global, std::int64_t local, std::int64_t count) {
          const auto first = static_cast<std::uint64_t>(global) * width,
                     bytes = static_cast<std::uint64_t>(count) * width;
          const char* from = static_cast<const char*>(data) + static_cast<std::uint64_t>(local) * width;
          write_at(file.get(), from, bytes, t.offset + first, path);
          hashes.add(t, first, bytes, from);
        });
    done += s.view.bytes();
    if (options.progress) options.progress(done);
  }
  sync_and_close(file, path);
}

void copy_attachments(const fs::path& dir, const std::vector<fs::path>& sources, Manifest& manifest) {
  if (sources.empty()) return;
  const fs::path folder = dir / kAttachmentFolder;
  fs::create_directory(folder);
  for (const fs::path& source : sources) {
    io::write_file(folder / source.filename(), io::read_file(source));
    manifest.attachments.push_back(describe_file(folder / source.filename()));
  }
  io::sync_folder(folder);
}

/// Rank 0, when all data is on the disk: checksums, attachments, the manifest.
void finish(const fs::path& dir, const std::vector<std::uint64_t>& hashes, const std::vector<fs::path>& attachments,
            Manifest& manifest) {
  const std::string data = (dir / kDataFile).string();
  io::Descriptor file = open_to_write(data);
  write_at(file.get(), hashes.data(), hashes.size() * 8, manifest.checksums_offset, data);
  sync_and_close(file, data);
  for (Extent& t : manifest.tensors) t.xxh3 = combine(hashes.data() + t.first_chunk, t.chunks());
  copy_attachments(dir, attachments, manifest);
  io::write_file(dir / kManifestFile, to_text(manifest));
  io::sync_folder(dir);
}

void prepare(const fs::path& dir, const fs::path& unfinished) {
  if (fs::exists(dir) && !is_checkpoint(dir))
    fail_input("{} exists and is no checkpoint; it is not overwritten", dir.string());
  fs::remove_all(unfinished);
  std::error_code error;
  if (!fs::create_directory(unfinished, error)) fail_run("cannot create {}: {}", unfinished.string(), error.message());
}

}  // namespace

void save(comm::Communicator& world, const fs::path& dir_given, const nlohmann::json& meta,
          const std::vector<tensor::Slice>& owned, const SaveOptions& options) {
  const fs::path dir = dir_given.has_filename() ? dir_given : dir_given.parent_path();  // "x/" is x
  const fs::path unfinished = dir.string() + ".tmp";
  const std::string data = (unfinished / kDataFile).string();
  const bool first = world.rank() == 0;
  Manifest manifest;
  manifest.tensors = gather_tensors(world, owned);
  bool created = false;
  try {
    std::string layout;
    agree(world, [&] {
      if (!first) return;
      manifest.meta = meta;
      created = true;
      prepare(dir, unfinished);
      create_data_file(data, manifest);
      layout = to_text(manifest);
    });
    broadcast_bytes(world, layout, 0);
    if (!first) manifest = from_text(layout, "the layout that rank 0 sent");
    ChunkHashes hashes(manifest);
    agree(world, [&] { write_blocks(data, manifest, owned, options, hashes); });
    hashes.complete(world, data);
    agree(world, [&] {
      if (!first) return;
      finish(unfinished, hashes.all(), options.attachments, manifest);
      io::commit_folder(unfinished, dir);
    });
  } catch (...) {  // all ranks have stopped: agree() let none go on
    std::error_code ignored;
    if (first && created) fs::remove_all(unfinished, ignored);
    throw;
  }
}

}  // namespace eddy::checkpoint
