#include "checkpoint/layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/error.h"
#include "checkpoint/agree.h"
#include "io/file.h"
#include "io/hdf5.h"

namespace eddy::checkpoint {
namespace {

using Json = nlohmann::json;
constexpr int kTag = 7301;  // of the messages that bring the ranks' lists to rank 0

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

/// "tensor" or "group/tensor", as HDF5 can hold it beside the checksums.
bool is_valid_name(const std::string& name) {
  const std::size_t slash = name.find('/');
  const std::string group = name.substr(0, slash), rest = slash == std::string::npos ? "x" : name.substr(slash + 1);
  for (const std::string& part : {group, rest})
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) return false;
  return rest.find('/') == std::string::npos && group != kChecksums;
}

std::string list_of(const std::vector<tensor::Slice>& owned) {
  std::map<std::string, Json> list;  // a rank may own several blocks of a tensor
  for (const auto& s : owned) {
    const auto [it, is_new] = list.try_emplace(s.name, Json{name_of(s.view.dtype), s.global_shape, 0});
    if (!is_new && (it->second[0] != name_of(s.view.dtype) || it->second[1] != s.global_shape))
      fail_run("tensor '{}': two blocks of one rank differ in dtype or global shape", s.name);
    it->second[2] = it->second[2].get<std::int64_t>() + s.view.numel();
  }
  const auto bytes = Json::to_cbor(Json(list));
  return {bytes.begin(), bytes.end()};
}

/// Adds one rank's list to all; counts become the elements that ranks have given so far.
void merge(std::map<std::string, Json>& all, const std::string& bytes, int rank) {
  const Json list = Json::from_cbor(bytes);
  for (const auto& [name, entry] : list.items()) {
    const auto [it, is_new] = all.try_emplace(name, entry);
    if (is_new) continue;
    if (it->second[0] != entry[0] || it->second[1] != entry[1])
      fail_run("tensor '{}': rank {} gives it another dtype or shape", name, rank);
    it->second[2] = it->second[2].get<std::int64_t>() + entry[2].get<std::int64_t>();
  }
}

void check_counts(const std::map<std::string, Json>& all) {
  for (const auto& [name, entry] : all) {
    if (!is_valid_name(name))
      fail_run("'{}' cannot be a tensor's name in a checkpoint: 'tensor' or 'group/tensor'", name);
    std::int64_t elements = 1;
    for (const auto& extent : entry[1]) elements *= extent.get<std::int64_t>();
    if (elements != entry[2])
      fail_run("tensor '{}': the ranks own {} elements together, it has {}", name, entry[2].get<std::int64_t>(),
               elements);
  }
}

/// Takes the disk space now, so that a full disk shows before any rank writes.
void reserve(const std::filesystem::path& path, std::uint64_t bytes) {
  const io::Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) fail_run("cannot open {}: {}", path.string(), std::strerror(errno));
  if (bytes == 0 || ::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) == 0 || errno == EOPNOTSUPP ||
      errno == ENOSYS)
    return;
  fail_run("cannot reserve {} bytes for {}: {}", bytes, path.string(), std::strerror(errno));
}

}  // namespace

std::vector<Extent> gather_tensors(comm::Communicator& world, const std::vector<tensor::Slice>& owned) {
  std::string mine;
  agree(world, [&] { mine = list_of(owned); });
  std::vector<std::string> lists(1, mine);
  auto size = static_cast<std::int64_t>(mine.size());
  if (world.rank() == 0) {
    for (int r = 1; r < world.size(); ++r) {
      world.recv(&size, 1, Dtype::i64, r, kTag);
      lists.emplace_back(static_cast<std::size_t>(size), '\0');
      world.recv(lists.back().data(), lists.back().size(), Dtype::u8, r, kTag);
    }
  } else {
    const auto first = world.isend(&size, 1, Dtype::i64, 0, kTag);
    const auto second = world.isend(mine.data(), mine.size(), Dtype::u8, 0, kTag);
    first->wait();
    second->wait();
  }
  std::map<std::string, Json> all;
  std::string merged;
  agree(world, [&] {
    if (world.rank() != 0) return;
    for (std::size_t r = 0; r < lists.size(); ++r) merge(all, lists[r], static_cast<int>(r));
    check_counts(all);
    const auto bytes = Json::to_cbor(Json(all));
    merged.assign(bytes.begin(), bytes.end());
  });
  broadcast_bytes(world, merged, 0);
  Manifest numbered;
  const Json list = Json::from_cbor(merged);
  for (const auto& [name, entry] : list.items()) {
    Extent t{name,
             parse_dtype(entry[0].get<std::string>(), name),
             entry[1].get<std::vector<std::int64_t>>(),
             0,
             numbered.chunks(),
             ""};
    numbered.tensors.push_back(std::move(t));
  }
  return numbered.tensors;
}

void create_data_file(const std::filesystem::path& path, Manifest& m) {
  io::H5Options options;
  options.alignment = 4096;  // large tensors begin on pages
  options.aligned_from = 1 << 16;
  io::H5File file = io::H5File::create(path, options);
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
    for (Extent& t : m.tensors) {
      io::H5Dataset dataset = create(t.name, stored_type(t.dtype), {t.shape.begin(), t.shape.end()});
      if (t.dtype == Dtype::bf16 || t.dtype == Dtype::f8e4m3)
        dataset.write_attribute("dtype", std::string(name_of(t.dtype)));
      t.offset = dataset.file_offset().value_or(0);
    }
    m.checksums_offset = create(kChecksums, io::H5Type::u64, {m.chunks()}).file_offset().value_or(0);
  }
  file.close();
  m.data_bytes = std::filesystem::file_size(path);
  reserve(path, m.data_bytes);
  const io::Descriptor again(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  m.structure_xxh3 = hash_structure(m, again.get(), path.string());
}

}  // namespace eddy::checkpoint
