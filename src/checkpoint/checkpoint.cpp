#include "checkpoint/checkpoint.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "checkpoint/chunk_reader.h"
#include "checkpoint/manifest.h"
#include "io/file.h"
#include "tensor/runs.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {
constexpr int kThreads = 4;                                   // that read a large block
constexpr std::int64_t kThreadBytes = std::int64_t{8} << 20;  // from so many bytes on each
}  // namespace

struct Checkpoint::Impl {
  fs::path dir;
  Manifest manifest;
  std::vector<TensorEntry> entries;
  std::map<std::string, std::size_t> index;
  mutable std::array<PageBuffer, kThreads> pages;  // a thread's each
  mutable std::vector<io::Descriptor> open_files, direct_files;
  mutable std::map<const StoredSlice*, std::vector<std::uint64_t>> hashes;  // of the slices read so far

  std::string path_of(std::uint32_t file) const { return (dir / manifest.files[file].name).string(); }
  int open(std::uint32_t file) const;
  SliceSource source(const StoredTensor& tensor, const StoredSlice& slice) const;
  void verify_slice(const StoredTensor& tensor, const StoredSlice& slice) const;
};

int Checkpoint::Impl::open(std::uint32_t file) const {
  io::Descriptor& d = open_files[file];
  if (d.get() < 0) d = io::Descriptor(::open(path_of(file).c_str(), O_RDONLY | O_CLOEXEC));
  if (d.get() >= 0 && direct_files[file].get() < 0)  // some file systems refuse it
    direct_files[file] = io::Descriptor(::open(path_of(file).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (d.get() < 0) fail_input("{}: cannot be opened: {}", path_of(file), std::strerror(errno));
  return d.get();
}

SliceSource Checkpoint::Impl::source(const StoredTensor& t, const StoredSlice& s) const {
  const auto [it, is_new] = hashes.try_emplace(&s);
  if (is_new) {
    std::vector<std::uint64_t> own(chunks_of(s.bytes(t.dtype)));
    try {
      read_at(open(s.file), own.data(), own.size() * 8, manifest.files[s.file].checksums_offset + 8 * s.first_chunk,
              path_of(s.file));
      if (combine(own.data(), own.size()) != s.xxh3)
        fail_input("{}: the checksums of tensor '{}' are damaged", path_of(s.file), t.name);
    } catch (...) {
      hashes.erase(it);
      throw;
    }
    it->second = std::move(own);
  }
  return {t.name, s.bytes(t.dtype), s.offset, it->second, open(s.file), direct_files[s.file].get(), path_of(s.file)};
}

Checkpoint::Checkpoint(const fs::path& dir) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.dir = dir;
  const std::string manifest_path = (dir / kManifestFile).string();
  if (!is_checkpoint(dir)) fail_input("{}: is no Eddy checkpoint: {} is missing", dir.string(), kManifestFile);
  m.manifest = from_text(io::read_file(manifest_path), manifest_path);
  for (const DataFile& f : m.manifest.files) {
    const fs::path path = dir / f.name;
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) fail_input("{}: cannot be opened: {}", path.string(), error.message());
    if (size != f.bytes)
      fail_input("{}: has {} bytes, its manifest says {}; it was cut off or altered", path.string(), size, f.bytes);
  }
  m.open_files.resize(m.manifest.files.size());
  m.direct_files.resize(m.manifest.files.size());
  for (const StoredTensor& t : m.manifest.tensors) {
    m.index[t.name] = m.entries.size();
    m.entries.push_back({t.name, t.dtype, t.shape});
  }
}

Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

const fs::path& Checkpoint::path() const {
  return impl_->dir;
}
const nlohmann::json& Checkpoint::meta() const {
  return impl_->manifest.meta;
}
const std::vector<TensorEntry>& Checkpoint::tensors() const {
  return impl_->entries;
}
bool Checkpoint::has(const std::string& name) const {
  return impl_->index.count(name) > 0;
}

const TensorEntry& Checkpoint::entry(const std::string& name) const {
  const auto it = impl_->index.find(name);
  if (it == impl_->index.end()) fail_input("{}: holds no tensor '{}'", impl_->dir.string(), name);
  return impl_->entries[it->second];
}

void Checkpoint::read(const tensor::Slice& s) const {
  const TensorEntry& stored = entry(s.name);
  const StoredTensor& t = impl_->manifest.tensors[impl_->index.at(s.name)];
  if (stored.shape != s.global_shape)
    fail_input("{}: tensor '{}' has shape {}, the model asks for {}", impl_->dir.string(), s.name,
               nlohmann::json(stored.shape).dump(), nlohmann::json(s.global_shape).dump());
  if (stored.dtype != s.view.dtype && !(stored.dtype == Dtype::bf16 && s.view.dtype == Dtype::f32))
    fail_input("{}: tensor '{}' is stored as {}, the program asks for {}", impl_->dir.string(), s.name,
               name_of(stored.dtype), name_of(s.view.dtype));
  if (!s.view.contiguous()) fail_run("tensor '{}': a contiguous block is needed", s.name);
  const tensor::Block wanted{s.begin, s.view.shape.vector()};
  char* out = static_cast<char*>(s.view.data);
  std::int64_t found = 0;
  for (const StoredSlice& slice : t.slices) {
    const tensor::Block there{slice.begin, slice.extent}, common = tensor::intersection(there, wanted);
    if (common.numel() == 0) continue;
    found += common.numel();
    const SliceSource source = impl_->source(t, slice);
    // a large block's parts along its first dimension that has any, to a thread each
    std::size_t axis = 0;
    while (axis < common.extent.size() && common.extent[axis] == 1) ++axis;
    const std::int64_t bytes = common.numel() * static_cast<std::int64_t>(size_of(t.dtype));
    const std::int64_t rows = axis < common.extent.size() ? common.extent[axis] : 1;
    const auto parts = std::min<std::int64_t>({rows, kThreads, bytes / kThreadBytes + 1});
    parallel_for(kThreads, static_cast<std::size_t>(parts), [&](std::size_t i) {
      tensor::Block part = common;
      const auto p = static_cast<std::int64_t>(i);
      if (axis < common.extent.size()) {
        part.begin[axis] = common.begin[axis] + rows * p / parts;
        part.extent[axis] = rows * (p + 1) / parts - rows * p / parts;
      }
      SliceReader reader(source, t.dtype, s.view.dtype, impl_->pages[i]);
      tensor::for_each_shared_run(there, wanted, part, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
        reader.read(static_cast<std::uint64_t>(from), static_cast<std::uint64_t>(count),
                    out + static_cast<std::size_t>(to) * size_of(s.view.dtype));
      });
    });
  }
  if (found != wanted.numel())
    fail_input("{}: tensor '{}' is not whole: {} of {} elements asked for are stored", impl_->dir.string(), s.name,
               found, wanted.numel());
}

std::vector<fs::path> Checkpoint::attachments() const {
  std::vector<fs::path> paths;
  for (const Attachment& a : impl_->manifest.attachments) paths.push_back(impl_->dir / kAttachmentFolder / a.name);
  return paths;
}

void Checkpoint::Impl::verify_slice(const StoredTensor& t, const StoredSlice& s) const {
  const SliceSource from = source(t, s);
  const std::uint64_t chunks = chunks_of(from.bytes),
                      parts = std::min<std::uint64_t>(kThreads, from.bytes / kThreadBytes + 1);
  parallel_for(kThreads, parts, [&](std::size_t i) {
    SliceReader reader(from, Dtype::u8, Dtype::u8, pages[i]);
    reader.check(chunks * i / parts * kChunkBytes, std::min(from.bytes, chunks * (i + 1) / parts * kChunkBytes));
  });
}

void Checkpoint::verify(const std::function<void(std::uint64_t)>& progress, int rank, int ranks) const {
  verify_rest(rank, ranks);
  std::uint64_t done = 0;
  std::size_t turn = 0;
  for (const StoredTensor& t : impl_->manifest.tensors) {
    std::uint64_t bytes = 0;
    for (const StoredSlice& s : t.slices) {
      bytes += s.bytes(t.dtype);
      if (static_cast<int>(turn++ % static_cast<std::size_t>(ranks)) != rank) continue;
      impl_->verify_slice(t, s);
      impl_->hashes.erase(&s);
      done += s.bytes(t.dtype);
      if (progress) progress(done);
    }
    if (bytes != t.bytes())
      fail_input("{}: tensor '{}' is not whole: {} of {} bytes are stored", impl_->dir.string(), t.name, bytes,
                 t.bytes());
  }
}

void Checkpoint::verify_tensor(const std::string& name) const {
  entry(name);
  const StoredTensor& t = impl_->manifest.tensors[impl_->index.at(name)];
  std::uint64_t bytes = 0;
  for (const StoredSlice& s : t.slices) {
    bytes += s.bytes(t.dtype);
    impl_->verify_slice(t, s);
    impl_->hashes.erase(&s);
  }
  if (bytes != t.bytes())
    fail_input("{}: tensor '{}' is not whole: {} of {} bytes are stored", impl_->dir.string(), t.name, bytes,
               t.bytes());
}

void Checkpoint::verify_rest(int rank, int ranks) const {
  auto next = [&, turn = std::size_t{0}]() mutable {
    return static_cast<int>(turn++ % static_cast<std::size_t>(ranks)) == rank;
  };
  for (std::uint32_t f = 0; f < impl_->manifest.files.size(); ++f)
    if (next() && hash_structure(impl_->manifest, f, impl_->open(f), impl_->path_of(f)) !=
                      impl_->manifest.files[f].structure_xxh3)
      fail_input("{}: is damaged (HDF5's own records do not have their checksum)", impl_->path_of(f));
  for (const Attachment& a : impl_->manifest.attachments) {
    if (!next()) continue;
    const fs::path path = impl_->dir / kAttachmentFolder / a.name;
    const Attachment found = describe_file(path);
    if (found.bytes != a.bytes || found.xxh3 != a.xxh3)
      fail_input("{}: is damaged: it does not have the checksum in its manifest", path.string());
  }
}

}  // namespace eddy::checkpoint
