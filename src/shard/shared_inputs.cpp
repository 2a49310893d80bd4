#include "shard/shared_inputs.h"

#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>

#include "base/error.h"
#include "shard/gather.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

// Lists of files may be long: they travel as bytes, one value after the other, not as JSON in memory. File names are
// bytes, too: they need not be UTF-8.
class Packer {
 public:
  void number(std::uint64_t n) { bytes_.append(reinterpret_cast<const char*>(&n), sizeof n); }
  void text(std::string_view s) {
    number(s.size());
    bytes_ += s;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  bool more() const { return !bytes_.empty(); }
  std::uint64_t number() {
    std::uint64_t n = 0;
    std::memcpy(&n, bytes_.data(), sizeof n);
    bytes_.remove_prefix(sizeof n);
    return n;
  }
  std::string text() {
    const std::uint64_t n = number();
    std::string s(bytes_.substr(0, n));
    bytes_.remove_prefix(n);
    return s;
  }

 private:
  std::string_view bytes_;
};

/// The inputs as rank 0 finds them, on all ranks.
InputList share_inputs(comm::Communicator& world, const std::vector<std::string>& inputs) {
  InputList list;
  together(world, [&] {
    if (world.rank() == 0) list = list_inputs(inputs);
  });
  if (world.size() == 1) return list;
  Packer packed;
  for (const InputFile& f : list.files) {
    for (const std::string* s : {&f.path, &f.name, &f.root}) packed.text(*s);
    for (const std::uint64_t n : {std::uint64_t(f.kind), f.bytes, std::uint64_t(f.part), std::uint64_t(f.store)})
      packed.number(n);
  }
  const std::string told = tell(world, packed.bytes());
  if (world.rank() == 0) return list;
  for (Unpacker from(told); from.more();) {
    InputFile f{from.text(), from.text(), from.text()};
    f.kind = static_cast<extract::Kind>(from.number());
    f.bytes = from.number();
    f.part = from.number() != 0;
    f.store = from.number() != 0;
    list.files.push_back(std::move(f));
  }
  return list;
}

/// Marks the .tex files that others draw in; each rank reads every size-th.
void mark_parts(comm::Communicator& world, std::vector<InputFile>& files) {
  std::vector<std::size_t> tex;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (files[i].kind == extract::Kind::latex) tex.push_back(i);
  if (tex.empty()) return;
  Packer mine;
  for (std::size_t t = static_cast<std::size_t>(world.rank()); t < tex.size();
       t += static_cast<std::size_t>(world.size())) {
    const InputFile& f = files[tex[t]];
    try {
      const extract::TexLinks links = extract::tex_links(f.path, f.root);
      mine.number(t);
      mine.number(links.main);
      mine.number(links.inputs.size());
      for (const fs::path& p : links.inputs) mine.text(p.string());
    } catch (const Error&) {  // unreadable: rejected with its reason when its turn comes
    }
  }
  std::map<std::string, std::size_t> index;  // canonical path → number among the .tex files
  for (std::size_t t = 0; t < tex.size(); ++t) {
    std::error_code none;
    index[fs::canonical(files[tex[t]].path, none).string()] = t;
  }
  std::vector<bool> is_main(tex.size(), false);
  std::vector<std::vector<std::size_t>> inputs(tex.size());
  for (const std::string& bytes : share(world, mine.bytes()))
    for (Unpacker from(bytes); from.more();) {
      const std::uint64_t t = from.number();
      is_main[t] = from.number() != 0;
      for (std::uint64_t n = from.number(); n > 0; --n)
        if (const auto found = index.find(from.text()); found != index.end()) inputs[t].push_back(found->second);
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
