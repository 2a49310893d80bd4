#include "checkpoint/plan.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "checkpoint/agree.h"
#include "checkpoint/file_layout.h"

namespace eddy::checkpoint {
namespace {

using Json = nlohmann::json;
constexpr int kTag = 7301;  // of the messages that bring lists together

std::string packed(const Json& json) {
  const auto bytes = Json::to_cbor(json);
  return {bytes.begin(), bytes.end()};
}

/// "tensor" or "group/tensor", as HDF5 can hold it beside the checksums and slices' own names.
bool is_valid_name(const std::string& name) {
  const std::size_t slash = name.find('/');
  const std::string group = name.substr(0, slash), rest = slash == std::string::npos ? "x" : name.substr(slash + 1);
  for (const std::string& part : {group, rest})
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) return false;
  return rest.find('/') == std::string::npos && name.find('@') == std::string::npos && group != kChecksums;
}

/// This rank's blocks as others need to know them.
std::string list_of(const std::vector<tensor::Slice>& owned) {
  Json list = Json::array();
  for (const auto& s : owned) {
    if (!s.view.contiguous()) fail_run("tensor '{}': a contiguous block is needed", s.name);
    list.push_back({s.name, name_of(s.view.dtype), s.global_shape, s.begin, s.view.shape.vector()});
  }
  return packed(list);
}

/// The bytes of each of `from` (ascending ranks) at `to`; others get nothing. Every rank of `from`, and `to`, calls it.
std::vector<std::string> gather(comm::Communicator& world, const std::vector<int>& from, int to,
                                const std::string& mine) {
  std::vector<std::string> out;
  auto size = static_cast<std::int64_t>(mine.size());
  if (world.rank() != to) {
    const auto first = world.isend(&size, 1, Dtype::i64, to, kTag);
    const auto second = world.isend(mine.data(), mine.size(), Dtype::u8, to, kTag);
    first->wait();
    second->wait();
    return out;
  }
  for (const int rank : from) {
    if (rank == to) {
      out.push_back(mine);
      continue;
    }
    world.recv(&size, 1, Dtype::i64, rank, kTag);
    out.emplace_back(static_cast<std::size_t>(size), '\0');
    world.recv(out.back().data(), out.back().size(), Dtype::u8, rank, kTag);
  }
  return out;
}

/// Throws naming the tensor when two blocks have elements in common. `blocks` by begin; owner(block) is a rank.
template <class Blocks, class Slice, class Owner>
void require_apart(const StoredTensor& t, const Blocks& blocks, Slice&& slice, Owner&& owner) {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    // those that begin before this one ends, along the first axis
    for (std::size_t j = i + 1; j < blocks.size(); ++j) {
      const StoredSlice &a = slice(blocks[i]), &b = slice(blocks[j]);
      if (!t.shape.empty() && b.begin[0] >= a.begin[0] + a.extent[0]) break;
      bool apart = false;
      for (std::size_t d = 0; d < t.shape.size() && !apart; ++d)
        apart = b.begin[d] >= a.begin[d] + a.extent[d] || a.begin[d] >= b.begin[d] + b.extent[d];
      if (!apart)
        fail_run("tensor '{}': ranks {} and {} own the same elements of it", t.name, owner(blocks[i]),
                 owner(blocks[j]));
    }
}

struct Named {  // a slice, and whose it is
  StoredSlice slice;
  int rank;
  std::size_t index;
};

/// Each element once? `slices` by begin. Throws naming the tensor.
void require_cover(const StoredTensor& t, const std::vector<Named>& slices) {
  require_apart(
      t, slices, [](const Named& n) -> const StoredSlice& { return n.slice; }, [](const Named& n) { return n.rank; });
  std::uint64_t bytes = 0;
  for (const Named& n : slices) bytes += n.slice.bytes(t.dtype);
  if (bytes != t.bytes())
    fail_run("tensor '{}': the ranks own {} elements together, it has {}", t.name, bytes / size_of(t.dtype),
             t.bytes() / size_of(t.dtype));
}

/// A block of a rank of the file: which of its blocks, and where it lies.
struct Origin {
  int member;  // of the file's ranks
  std::size_t index;
};

/// The blocks of a file's ranks, tensor by tensor.
class Members {
 public:
  void add(int member, int rank, const std::string& list) {
    std::size_t index = 0;
    for (const Json& b : Json::from_cbor(list)) {
      const auto name = b[0].get<std::string>();
      auto& [tensor, blocks] = tensors_[name];
      const Dtype dtype = parse_dtype(b[1].get<std::string>(), name);
      auto shape = b[2].get<std::vector<std::int64_t>>();
      if (tensor.name.empty()) {
        if (!is_valid_name(name))
          fail_run("'{}' cannot be a tensor's name in a checkpoint: 'tensor' or 'group/tensor', without '@'", name);
        tensor = {name, dtype, std::move(shape), {}};
      } else if (tensor.dtype != dtype || tensor.shape != shape) {
        fail_run("tensor '{}': rank {} gives it another dtype or shape", name, rank);
      }
      StoredSlice s;
      s.begin = b[3].get<std::vector<std::int64_t>>();
      s.extent = b[4].get<std::vector<std::int64_t>>();
      if (s.bytes(dtype) > 0) blocks.emplace_back(std::move(s), Origin{member, index});
      ++index;
    }
  }
  /// What the file holds, and in `origins` whose each slice is, tensor by tensor.
  std::vector<StoredTensor> take(int first_rank, std::vector<std::vector<Origin>>& origins) {
    std::vector<StoredTensor> out;
    for (auto& [name, entry] : tensors_) {
      auto& [tensor, blocks] = entry;
      std::stable_sort(blocks.begin(), blocks.end(),
                       [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
      require_apart(
          tensor, blocks, [](const auto& block) -> const StoredSlice& { return block.first; },
          [&](const auto& block) { return block.second.member + first_rank; });
      origins.emplace_back();
      for (auto& [slice, origin] : blocks) {
        tensor.slices.push_back(std::move(slice));
        origins.back().push_back(origin);
      }
      out.push_back(std::move(tensor));
    }
    return out;
  }

 private:
  std::map<std::string, std::pair<StoredTensor, std::vector<std::pair<StoredSlice, Origin>>>> tensors_;
};

Json describe(const FileLayout& layout, const std::vector<std::vector<Origin>>& origins, int first_rank) {
  Json json = {{"name", layout.file.name},
               {"bytes", layout.file.bytes},
               {"checksums", layout.file.checksums_offset},
               {"structure", layout.file.structure_xxh3},
               {"tensors", Json::array()}};
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    const StoredTensor& tensor = layout.tensors[t];
    Json slices = Json::array();
    for (std::size_t i = 0; i < tensor.slices.size(); ++i) {
      const StoredSlice& s = tensor.slices[i];
      slices.push_back({s.begin, s.extent, s.offset, origins[t][i].member + first_rank, origins[t][i].index});
    }
    json["tensors"].push_back({tensor.name, name_of(tensor.dtype), tensor.shape, std::move(slices)});
  }
  return json;
}

/// Rank 0: the files' descriptions as one manifest.
void merge(Plan& plan, const std::vector<std::string>& files, int ranks) {
  struct Entry {
    StoredTensor tensor;
    std::vector<Named> slices;
  };
  std::map<std::string, Entry> all;
  for (std::uint32_t f = 0; f < files.size(); ++f) {
    const Json json = Json::from_cbor(files[f]);
    plan.manifest.files.push_back({json["name"], json["bytes"], json["checksums"], json["structure"], 0, 0});
    for (const Json& t : json["tensors"]) {
      Entry& e = all[t[0].get<std::string>()];
      StoredTensor one{t[0], parse_dtype(t[1].get<std::string>(), "a rank's list"), t[2], {}};
      if (!e.tensor.name.empty() && (e.tensor.dtype != one.dtype || e.tensor.shape != one.shape))
        fail_run("tensor '{}': rank {} gives it another dtype or shape", one.name,
                 t[3].empty() ? -1 : t[3][0][3].get<int>());
      e.tensor = std::move(one);
      for (const Json& s : t[3]) e.slices.push_back({{s[0], s[1], f, s[2], 0, 0}, s[3], s[4]});
    }
  }
  plan.targets.resize(static_cast<std::size_t>(ranks));
  std::vector<std::map<std::size_t, Plan::Target>> by_rank(static_cast<std::size_t>(ranks));
  for (auto& [name, e] : all) {
    std::stable_sort(e.slices.begin(), e.slices.end(),
                     [](const Named& a, const Named& b) { return a.slice.begin < b.slice.begin; });
    require_cover(e.tensor, e.slices);
    const auto tensor = static_cast<std::uint32_t>(plan.manifest.tensors.size());
    for (Named& s : e.slices) {
      by_rank[static_cast<std::size_t>(s.rank)][s.index] = {tensor, static_cast<std::uint32_t>(e.tensor.slices.size())};
      e.tensor.slices.push_back(std::move(s.slice));
    }
    plan.manifest.tensors.push_back(std::move(e.tensor));
  }
  for (std::size_t r = 0; r < by_rank.size(); ++r)
    for (const auto& [index, target] : by_rank[r]) plan.targets[r].push_back(target);
  number_chunks(plan.manifest);
}

}  // namespace

std::string data_file_name(int file, int files) {
  return files == 1 ? "data.h5" : fmt::format("data-{:05}.h5", file);
}

Plan make_plan(comm::Communicator& world, const std::vector<tensor::Slice>& owned, int ranks_per_file) {
  Plan plan;
  const int rank = world.rank(), leader = rank / ranks_per_file * ranks_per_file;
  plan.leads = rank == leader;
  std::string mine;
  agree(world, [&] { mine = list_of(owned); });
  std::vector<int> members, leaders;
  for (int r = leader; r < std::min(leader + ranks_per_file, world.size()); ++r) members.push_back(r);
  for (int r = 0; r < world.size(); r += ranks_per_file) leaders.push_back(r);

  const std::vector<std::string> lists = gather(world, members, leader, mine);
  FileLayout layout;
  layout.file.name = data_file_name(rank / ranks_per_file, static_cast<int>(leaders.size()));
  std::vector<std::vector<std::uint64_t>> answers(members.size());  // by member: the file's, then each block's places
  std::string description;
  agree(world, [&] {
    if (!plan.leads) return;
    Members all;
    for (std::size_t i = 0; i < lists.size(); ++i) all.add(static_cast<int>(i), members[i], lists[i]);
    std::vector<std::vector<Origin>> origins;
    layout.tensors = all.take(leader, origins);
    lay_out(layout);
    for (std::size_t i = 0; i < lists.size(); ++i) {
      answers[i] = {layout.file.bytes, layout.file.checksums_offset, layout.file.chunks};
      answers[i].resize(3 + 2 * Json::from_cbor(lists[i]).size());
    }
    for (std::size_t t = 0; t < origins.size(); ++t)
      for (std::size_t i = 0; i < origins[t].size(); ++i) {
        auto& answer = answers[static_cast<std::size_t>(origins[t][i].member)];
        answer[3 + 2 * origins[t][i].index] = layout.tensors[t].slices[i].offset;
        answer[4 + 2 * origins[t][i].index] = layout.tensors[t].slices[i].first_chunk;
      }
    description = packed(describe(layout, origins, leader));
  });
  std::vector<std::uint64_t> answer(3 + 2 * owned.size());
  if (plan.leads) {
    for (std::size_t i = 1; i < members.size(); ++i)
      world.isend(answers[i].data(), answers[i].size(), Dtype::i64, members[i], kTag)->wait();
    answer = answers[0];
    plan.records = std::move(layout.records);
  } else {
    world.recv(answer.data(), answer.size(), Dtype::i64, leader, kTag);
  }
  plan.file = layout.file;
  plan.file.bytes = answer[0];
  plan.file.checksums_offset = answer[1];
  plan.file.chunks = answer[2];
  for (std::size_t i = 0; i < owned.size(); ++i) plan.places.push_back({answer[3 + 2 * i], answer[4 + 2 * i]});

  std::vector<std::string> files;
  if (plan.leads) files = gather(world, leaders, 0, description);
  agree(world, [&] {
    if (rank == 0) merge(plan, files, world.size());
  });
  return plan;
}

}  // namespace eddy::checkpoint
