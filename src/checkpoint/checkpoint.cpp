#include "checkpoint/checkpoint.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/chunk_hashes.h"
#include "checkpoint/manifest.h"
#include "io/file.h"
#include "tensor/runs.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;

struct Checkpoint::Impl {
  fs::path dir;
  std::string data_path;
  Manifest manifest;
  io::Descriptor data;
  std::vector<TensorEntry> entries;
  std::map<std::string, std::size_t> index;
  mutable std::map<std::size_t, std::vector<std::uint64_t>> hashes;  // of the tensors read so far

  const std::vector<std::uint64_t>& hashes_of(std::size_t i) const;
};

namespace {

/// A tensor's pieces, each read once and compared with its hash.
class ChunkReader {
 public:
  ChunkReader(const Extent& tensor, const std::vector<std::uint64_t>& hashes, int file, const std::string& path)
      : t_(tensor), hashes_(hashes), file_(file), path_(path) {}

  /// Bytes [first, first + count) of the tensor, in pieces: visit(data, bytes). Ascending calls read nothing twice.
  template <class Visit>
  void read(std::uint64_t first, std::uint64_t count, Visit&& visit) {
    while (count > 0) {
      const std::uint64_t chunk = first / kChunkBytes, within = first % kChunkBytes;
      if (chunk != held_) load(chunk);
      const std::uint64_t n = std::min(count, buffer_.size() - within);
      visit(buffer_.data() + within, n);
      first += n;
      count -= n;
    }
  }

 private:
  void load(std::uint64_t chunk) {
    const std::uint64_t begin = chunk * kChunkBytes;
    held_ = UINT64_MAX;
    buffer_.resize(std::min(kChunkBytes, t_.bytes() - begin));
    read_at(file_, buffer_.data(), buffer_.size(), t_.offset + begin, path_);
    if (xxh3(buffer_.data(), buffer_.size()) != hashes_[chunk])
      fail_input("{}: tensor '{}' is damaged (bytes {} to {} of it do not have their checksum)", path_, t_.name, begin,
                 begin + buffer_.size());
    held_ = chunk;
  }
  const Extent& t_;
  const std::vector<std::uint64_t>& hashes_;
  int file_;
  const std::string& path_;
  std::vector<char> buffer_;
  std::uint64_t held_ = UINT64_MAX;
};

/// Appends stored elements to a block, widening bf16 where the block is f32.
void append(const char* from, std::uint64_t bytes, Dtype stored, Dtype wanted, char*& out) {
  if (stored == wanted) {
    std::memcpy(out, from, bytes);
    out += bytes;
    return;
  }
  for (std::uint64_t i = 0; i < bytes; i += 2, out += 4) {  // pieces hold whole elements
    std::uint16_t bits;
    std::memcpy(&bits, from + i, 2);
    const float value = bf16_to_float(bits);
    std::memcpy(out, &value, 4);
  }
}

}  // namespace

const std::vector<std::uint64_t>& Checkpoint::Impl::hashes_of(std::size_t i) const {
  const auto it = hashes.find(i);
  if (it != hashes.end()) return it->second;
  const Extent& t = manifest.tensors[i];
  std::vector<std::uint64_t> own(t.chunks());
  read_at(data.get(), own.data(), own.size() * 8, manifest.checksums_offset + 8 * t.first_chunk, data_path);
  if (combine(own.data(), own.size()) != t.xxh3)
    fail_input("{}: the checksums of tensor '{}' are damaged", data_path, t.name);
  return hashes.emplace(i, std::move(own)).first->second;
}

Checkpoint::Checkpoint(const fs::path& dir) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.dir = dir;
  const std::string manifest_path = (dir / kManifestFile).string();
  if (!is_checkpoint(dir)) fail_input("{}: is no Eddy checkpoint: {} is missing", dir.string(), kManifestFile);
  m.manifest = from_text(io::read_file(manifest_path), manifest_path);
  m.data_path = (dir / kDataFile).string();
  m.data = io::Descriptor(::open(m.data_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (m.data.get() < 0) fail_input("{}: cannot be opened: {}", m.data_path, std::strerror(errno));
  if (const auto size = fs::file_size(m.data_path); size != m.manifest.data_bytes)
    fail_input("{}: has {} bytes, its manifest says {}; it was cut off or altered", m.data_path, size,
               m.manifest.data_bytes);
  if (hash_structure(m.manifest, m.data.get(), m.data_path) != m.manifest.structure_xxh3)
    fail_input("{}: is damaged (HDF5's own records do not have their checksum)", m.data_path);
  for (const Extent& t : m.manifest.tensors) {
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
  const std::size_t i = impl_->index.at(s.name);
  if (stored.shape != s.global_shape)
    fail_input("{}: tensor '{}' has shape {}, the model asks for {}", impl_->dir.string(), s.name,
               nlohmann::json(stored.shape).dump(), nlohmann::json(s.global_shape).dump());
  if (stored.dtype != s.view.dtype && !(stored.dtype == Dtype::bf16 && s.view.dtype == Dtype::f32))
    fail_input("{}: tensor '{}' is stored as {}, the program asks for {}", impl_->dir.string(), s.name,
               name_of(stored.dtype), name_of(s.view.dtype));
  if (!s.view.contiguous()) fail_run("tensor '{}': a contiguous block is needed", s.name);
  ChunkReader reader(impl_->manifest.tensors[i], impl_->hashes_of(i), impl_->data.get(), impl_->data_path);
  const std::uint64_t width = size_of(stored.dtype);
  char* out = static_cast<char*>(s.view.data);
  tensor::for_each_run(
      stored.shape, s.begin, s.view.shape.vector(), [&](std::int64_t global, std::int64_t, std::int64_t count) {
        reader.read(
            static_cast<std::uint64_t>(global) * width, static_cast<std::uint64_t>(count) * width,
            [&](const char* from, std::uint64_t bytes) { append(from, bytes, stored.dtype, s.view.dtype, out); });
      });
}

std::vector<fs::path> Checkpoint::attachments() const {
  std::vector<fs::path> paths;
  for (const Attachment& a : impl_->manifest.attachments) paths.push_back(impl_->dir / kAttachmentFolder / a.name);
  return paths;
}

void Checkpoint::verify(const std::function<void(std::uint64_t)>& progress) const {
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < impl_->entries.size(); ++i) {
    const Extent& t = impl_->manifest.tensors[i];
    ChunkReader reader(t, impl_->hashes_of(i), impl_->data.get(), impl_->data_path);
    reader.read(0, t.bytes(), [&](const char*, std::uint64_t bytes) {
      done += bytes;
      if (progress) progress(done);
    });
  }
  for (const Attachment& a : impl_->manifest.attachments) {
    const fs::path path = impl_->dir / kAttachmentFolder / a.name;
    const Attachment found = describe_file(path);
    if (found.bytes != a.bytes || found.xxh3 != a.xxh3)
      fail_input("{}: is damaged: it does not have the checksum in its manifest", path.string());
  }
}

}  // namespace eddy::checkpoint
