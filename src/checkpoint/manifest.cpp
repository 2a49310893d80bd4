#include "checkpoint/manifest.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "io/file.h"

namespace eddy::checkpoint {
namespace {

std::uint64_t product(const std::vector<std::int64_t>& extent, Dtype dtype) {
  std::uint64_t bytes = size_of(dtype);
  for (const std::int64_t e : extent) bytes *= static_cast<std::uint64_t>(e);
  return bytes;
}

}  // namespace

std::uint64_t StoredSlice::bytes(Dtype dtype) const {
  return product(extent, dtype);
}
std::uint64_t StoredTensor::bytes() const {
  return product(shape, dtype);
}

void number_chunks(Manifest& m) {
  for (DataFile& f : m.files) f.chunks = 0;
  for (StoredTensor& t : m.tensors)
    for (StoredSlice& s : t.slices) {
      if (s.file >= m.files.size()) fail_input("tensor '{}' lies in file {} of {}", t.name, s.file, m.files.size());
      s.first_chunk = m.files[s.file].chunks;
      m.files[s.file].chunks += chunks_of(s.bytes(t.dtype));
    }
}

std::vector<std::uint64_t> file_hashes(const Manifest& m) {
  std::vector<Xxh3Stream> streams(m.files.size());
  for (std::size_t i = 0; i < m.files.size(); ++i) streams[i].update(&m.files[i].structure_xxh3, 8);
  for (const StoredTensor& t : m.tensors)
    for (const StoredSlice& s : t.slices) streams[s.file].update(&s.xxh3, 8);
  std::vector<std::uint64_t> out;
  for (const Xxh3Stream& s : streams) out.push_back(s.digest());
  return out;
}

std::uint64_t combine(const std::uint64_t* hashes, std::uint64_t count) {
  return xxh3(hashes, count * 8);
}

void read_at(int file, void* out, std::uint64_t bytes, std::uint64_t offset, const std::string& where) {
  char* at = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t n = ::pread(file, at, std::min<std::uint64_t>(bytes, 1u << 30), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_input("{}: cannot be read: {}", where, std::strerror(errno));
    if (n == 0) fail_input("{}: is cut off: it ends before byte {}", where, offset + bytes);
    at += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::uint64_t>(n);
  }
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> taken_parts(const Manifest& m, std::uint32_t file,
                                                                 const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  const DataFile& f = m.files[file];
  for (const StoredTensor& t : m.tensors)
    for (const StoredSlice& s : t.slices)
      if (s.file == file) taken.emplace_back(s.offset, s.offset + s.bytes(t.dtype));
  if (f.chunks) taken.emplace_back(f.checksums_offset, f.checksums_offset + 8 * f.chunks);
  taken.emplace_back(f.bytes, f.bytes);
  std::sort(taken.begin(), taken.end());
  std::uint64_t done = 0;
  for (const auto& [begin, end] : taken) {
    if (begin < done || end < begin || end > f.bytes)
      fail_input("{}: its manifest places tensors over one another or outside the file", where);
    done = end;
  }
  return taken;
}

std::uint64_t hash_structure(const Manifest& m, std::uint32_t file, int descriptor, const std::string& where) {
  Xxh3Stream hash;
  std::vector<char> buffer;
  std::uint64_t done = 0;
  for (const auto& [begin, end] : taken_parts(m, file, where)) {
    for (; done < begin; done += buffer.size()) {
      buffer.resize(std::min(begin - done, kChunkBytes));
      read_at(descriptor, buffer.data(), buffer.size(), done, where);
      hash.update(buffer.data(), buffer.size());
    }
    done = end;
  }
  return hash.digest();
}

Attachment describe_file(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return {path.filename().string(), file.bytes().size(), hex64(xxh3(file.bytes().data(), file.bytes().size()))};
}

}  // namespace eddy::checkpoint
