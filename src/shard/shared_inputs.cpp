#include "shard/shared_inputs.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "shard/gather.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

/// The inputs as rank 0 finds them, on all ranks.
InputList share_inputs(comm::Communicator& world, const std::vector<std::string>& inputs) {
  InputList list;
  together(world, [&] {
    if (world.rank() == 0) list = list_inputs(inputs);
  });
  json j = json::array();
  for (const InputFile& f : list.files)
    j.push_back({f.path, f.name, f.root, static_cast<int>(f.kind), f.bytes, f.part, f.store});
  // File names are bytes: those that are not UTF-8 travel as they are in MessagePack.
  const std::string packed = tell(world, [&] {
    const auto bytes = json::to_msgpack(j);
    return std::string(bytes.begin(), bytes.end());
  }());
  if (world.rank() == 0) return list;
  for (const json& f : json::from_msgpack(packed))
    list.files.push_back({f.at(0), f.at(1), f.at(2), static_cast<extract::Kind>(f.at(3)), f.at(4), f.at(5), f.at(6)});
  return list;
}

/// Marks the .tex files that others draw in; each rank reads every size-th.
void mark_parts(comm::Communicator& world, std::vector<InputFile>& files) {
  std::vector<std::size_t> tex;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (files[i].kind == extract::Kind::latex) tex.push_back(i);
  json mine = json::array();
  for (std::size_t t = static_cast<std::size_t>(world.rank()); t < tex.size();
       t += static_cast<std::size_t>(world.size())) {
    const InputFile& f = files[tex[t]];
    try {
      const extract::TexLinks links = extract::tex_links(f.path, f.root);
      json inputs = json::array();
      for (const fs::path& p : links.inputs) inputs.push_back(p.string());
      mine.push_back({t, links.main, inputs});
    } catch (const Error&) {  // unreadable: rejected with its reason when its turn comes
    }
  }
  const auto bytes = json::to_msgpack(mine);
  std::map<std::string, std::size_t> index;  // canonical path → number among the .tex files
  for (std::size_t t = 0; t < tex.size(); ++t) {
    std::error_code none;
    index[fs::canonical(files[tex[t]].path, none).string()] = t;
  }
  std::vector<bool> is_main(tex.size(), false);
  std::vector<std::vector<std::size_t>> inputs(tex.size());
  for (const std::string& packed : share(world, std::string(bytes.begin(), bytes.end()))) {
    for (const json& links : json::from_msgpack(packed)) {
      const std::size_t t = links.at(0);
      is_main[t] = links.at(1);
      for (const json& p : links.at(2))
        if (const auto found = index.find(p.get<std::string>()); found != index.end())
          inputs[t].push_back(found->second);
    }
  }
  const std::vector<bool> parts = extract::parts_of_others(is_main, inputs);
  for (std::size_t t = 0; t < tex.size(); ++t) files[tex[t]].part = parts[t];
}

}  // namespace

InputList shared_inputs(comm::Communicator& world, const std::vector<std::string>& inputs) {
  InputList list = share_inputs(world, inputs);
  mark_parts(world, list.files);
  return list;
}

}  // namespace eddy::shard
