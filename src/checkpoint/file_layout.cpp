#include "checkpoint/file_layout.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"

namespace eddy::checkpoint {
namespace {

constexpr std::uint64_t kAlignment = 4096;        // large datasets begin on pages: they can be written past the cache
constexpr std::uint64_t kAlignedFrom = 1 << 16;   // bytes
constexpr std::uint64_t kRecordsOfDataset = 600;  // bytes that HDF5 writes about a dataset, about

io::H5Type stored_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return io::H5Type::f32;
    case Dtype::f64:
      return io::H5Type::f64;
    case Dtype::bf16:
      return io::H5Type::u16;
    case Dtype::i32:
      return io::H5Type::i32;
    case Dtype::i64:
      return io::H5Type::i64;
    default:
      return io::H5Type::u8;
  }
}

/// Slices [first, last) of a tensor that are one box, their elements following one another.
struct Box {
  std::vector<std::int64_t> begin, extent;
  std::size_t first, last;
};

/// Joins b to a where the elements of b follow those of a in a row-major box of both.
bool join(Box& a, const Box& b) {
  for (std::size_t d = 0; d < a.begin.size(); ++d) {
    if (b.begin[d] == a.begin[d] + a.extent[d]) {
      for (std::size_t e = d + 1; e < a.begin.size(); ++e)
        if (a.begin[e] != b.begin[e] || a.extent[e] != b.extent[e]) return false;
      a.extent[d] += b.extent[d];
      a.last = b.last;
      return true;
    }
    if (a.begin[d] != b.begin[d] || a.extent[d] != 1 || b.extent[d] != 1) return false;
  }
  return false;
}

std::vector<Box> boxes_of(const StoredTensor& t) {
  std::vector<Box> out;
  for (std::size_t i = 0; i < t.slices.size(); ++i) {
    out.push_back({t.slices[i].begin, t.slices[i].extent, i, i + 1});
    while (out.size() > 1 && join(out[out.size() - 2], out.back())) out.pop_back();
  }
  return out;
}

std::string dataset_name(const StoredTensor& t, const Box& box) {
  return box.extent == t.shape ? t.name : fmt::format("{}@{}", t.name, fmt::join(box.begin, ","));
}

/// Bytes [begin, end) of a file of which only HDF5's records are known; the rest is zero.
std::string record_bytes(const io::H5Image& image, std::uint64_t begin, std::uint64_t end) {
  std::string out(end - begin, '\0');
  auto part = image.parts.upper_bound(begin);
  if (part != image.parts.begin()) --part;
  for (; part != image.parts.end() && part->first < end; ++part) {
    const std::uint64_t from = std::max(begin, part->first), to = std::min(end, part->first + part->second.size());
    if (from < to) out.replace(from - begin, to - from, part->second, from - part->first, to - from);
  }
  return out;
}

}  // namespace

void lay_out(FileLayout& layout) {
  std::size_t datasets = 1;
  for (const StoredTensor& t : layout.tensors) datasets += boxes_of(t).size();
  io::H5Options options;
  options.alignment = kAlignment;
  options.aligned_from = kAlignedFrom;
  options.record_block = std::clamp<std::uint64_t>(datasets * kRecordsOfDataset, 2048, kAlignedFrom - 1);
  options.image = &layout.records;
  io::H5File file = io::H5File::create(layout.file.name, options);
  {
    io::H5Group root = file.root();
    std::map<std::string, io::H5Group> groups;
    const auto create = [&](const std::string& name, io::H5Type type, const std::vector<std::uint64_t>& shape) {
      const std::size_t slash = name.find('/');
      if (slash == std::string::npos) return root.create_dataset(name, type, shape);
      const std::string group = name.substr(0, slash);
      auto it = groups.find(group);
      if (it == groups.end()) it = groups.emplace(group, root.create_group(group)).first;
      return it->second.create_dataset(name.substr(slash + 1), type, shape);
    };
    layout.file.chunks = 0;
    for (StoredTensor& t : layout.tensors)
      for (const Box& box : boxes_of(t)) {
        io::H5Dataset dataset =
            create(dataset_name(t, box), stored_type(t.dtype), {box.extent.begin(), box.extent.end()});
        if (t.dtype == Dtype::bf16 || t.dtype == Dtype::f8e4m3)
          dataset.write_attribute("dtype", std::string(name_of(t.dtype)));
        std::uint64_t at = dataset.file_offset().value_or(0);
        for (std::size_t i = box.first; i < box.last; ++i) {
          t.slices[i].offset = at;
          t.slices[i].first_chunk = layout.file.chunks;
          at += t.slices[i].bytes(t.dtype);
          layout.file.chunks += chunks_of(t.slices[i].bytes(t.dtype));
        }
      }
    layout.file.checksums_offset = create(kChecksums, io::H5Type::u64, {layout.file.chunks}).file_offset().value_or(0);
  }
  file.close();
  layout.file.bytes = layout.records.bytes;

  Manifest alone;  // of this file
  alone.files = {layout.file};
  alone.tensors = layout.tensors;
  for (StoredTensor& t : alone.tensors)
    for (StoredSlice& s : t.slices) s.file = 0;
  Xxh3Stream hash;
  std::uint64_t done = 0;
  for (const auto& [begin, end] : taken_parts(alone, 0, layout.file.name)) {
    const std::string bytes = record_bytes(layout.records, done, begin);
    hash.update(bytes.data(), bytes.size());
    done = end;
  }
  layout.file.structure_xxh3 = hash.digest();
}

}  // namespace eddy::checkpoint
