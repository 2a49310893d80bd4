// manifest.json, written and read.
#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/plain_text.h"
#include "checkpoint/manifest.h"

namespace eddy::checkpoint {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kHashKey = "\"xxh3\": \"", kNoHash = "0000000000000000";

std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);  // a path may be no UTF-8
}

Json describe(const StoredTensor& t) {
  Json json = {{"name", t.name}, {"dtype", name_of(t.dtype)}, {"shape", t.shape}, {"slices", Json::array()}};
  for (const StoredSlice& s : t.slices)
    json["slices"].push_back(
        {{"begin", s.begin}, {"extent", s.extent}, {"file", s.file}, {"offset", s.offset}, {"xxh3", hex64(s.xxh3)}});
  return json;
}

Json describe(const DataFile& f) {
  return {{"name", f.name},
          {"bytes", f.bytes},
          {"checksums_offset", f.checksums_offset},
          {"structure_xxh3", hex64(f.structure_xxh3)},
          {"xxh3", hex64(f.xxh3)}};
}

std::uint64_t hash_from(const Json& json) {
  const auto& text = json.get_ref<const std::string&>();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size())
    fail_input("'{}' is no hash", text);
  return value;
}

void require_file_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') < name.size())
    fail_input("'{}' is no name of a file in a checkpoint", name);
}

/// Throws when two files have the same name.
template <class F>
void require_different(const std::vector<F>& files) {
  std::set<std::string_view> names;
  for (const F& f : files)
    if (!names.insert(f.name).second) fail_input("it names the file '{}' twice", f.name);
}

template <class T>
T number(const Json& json, const char* key) {
  return whole_number<T>(json.at(key), key);
}
std::vector<std::int64_t> numbers_from(const Json& json, const char* key) {
  if (!json.at(key).is_array()) fail_input("{} must be a list of whole numbers", key);
  std::vector<std::int64_t> out;
  for (const Json& n : json.at(key)) out.push_back(whole_number<std::int64_t>(n, key));
  return out;
}

/// Throws unless the box lies within the tensor and its bytes can be counted.
void require_box(const StoredTensor& t, const StoredSlice& s) {
  std::int64_t bytes = static_cast<std::int64_t>(size_of(t.dtype));
  bool good = s.begin.size() == t.shape.size() && s.extent.size() == t.shape.size();
  for (std::size_t d = 0; good && d < t.shape.size(); ++d)
    good = t.shape[d] >= 0 && s.begin[d] >= 0 && s.extent[d] >= 0 && s.begin[d] <= t.shape[d] - s.extent[d] &&
           !__builtin_mul_overflow(bytes, s.extent[d], &bytes);
  if (!good) fail_input("tensor '{}' has an impossible shape or slice", t.name);
}

StoredTensor tensor_from(const Json& json, bool whole) {
  StoredTensor t;
  t.name = json.at("name").get<std::string>();
  t.dtype = parse_dtype(json.at("dtype").get<std::string>(), t.name);
  t.shape = numbers_from(json, "shape");
  const auto add = [&](const Json& from, std::vector<std::int64_t> begin, std::vector<std::int64_t> extent,
                       std::uint32_t file) {
    StoredSlice s{std::move(begin),          std::move(extent), file, number<std::uint64_t>(from, "offset"), 0,
                  hash_from(from.at("xxh3"))};
    require_box(t, s);
    if (s.bytes(t.dtype) > 0) t.slices.push_back(std::move(s));
  };
  require_box(t, {std::vector<std::int64_t>(t.shape.size(), 0), t.shape, 0, 0, 0, 0});
  if (whole) {
    add(json, std::vector<std::int64_t>(t.shape.size(), 0), t.shape, 0);
    return t;
  }
  for (const Json& s : json.at("slices"))
    add(s, numbers_from(s, "begin"), numbers_from(s, "extent"), number<std::uint32_t>(s, "file"));
  return t;
}

DataFile file_from(const Json& json, const char* name_key) {
  DataFile f;
  f.name = json.at(name_key).get<std::string>();
  require_file_name(f.name);
  f.bytes = number<std::uint64_t>(json, "bytes");
  f.checksums_offset = number<std::uint64_t>(json, "checksums_offset");
  f.structure_xxh3 = hash_from(json.at("structure_xxh3"));
  return f;
}

Manifest from_json(const Json& json, int schema) {
  Manifest m;
  m.meta = json.at("meta");
  const bool first = schema == 1;  // one file "data", each tensor whole
  if (first) {
    m.files.push_back(file_from(json.at("data"), "file"));
  } else {
    for (const Json& f : json.at("files")) m.files.push_back(file_from(f, "name"));
  }
  const std::uint64_t chunk = number<std::uint64_t>(first ? json.at("data") : json, "chunk_bytes");
  if (chunk != kChunkBytes) fail_input("its pieces have {} bytes, this program reads {}", chunk, kChunkBytes);
  for (const Json& t : json.at("tensors")) m.tensors.push_back(tensor_from(t, first));
  for (const Json& a : json.at("attachments")) {
    m.attachments.push_back(
        {a.at("name").get<std::string>(), number<std::uint64_t>(a, "bytes"), a.at("xxh3").get<std::string>()});
    require_file_name(m.attachments.back().name);
  }
  for (std::size_t i = 1; i < m.tensors.size(); ++i)
    if (m.tensors[i - 1].name >= m.tensors[i].name)
      fail_input("its tensors are not in order, or two have the name '{}'", m.tensors[i].name);
  require_different(m.files);
  require_different(m.attachments);
  number_chunks(m);
  const auto hashes = file_hashes(m);
  for (std::size_t i = 0; i < m.files.size(); ++i) {
    m.files[i].xxh3 = hashes[i];
    if (!first && hash_from(json.at("files")[i].at("xxh3")) != hashes[i])
      fail_input("its hash of {} is not that of the parts it states", m.files[i].name);
  }
  return m;
}

/// Where the manifest's own hash stands in its text.
std::size_t hash_position(const std::string& text) {
  const std::size_t key = text.rfind(kHashKey);
  return key == std::string::npos || key + kHashKey.size() + kNoHash.size() > text.size() ? std::string::npos
                                                                                          : key + kHashKey.size();
}

}  // namespace

std::string to_text(const Manifest& m) {
  const Json head = {{"format", "eddy checkpoint"}, {"schema", kSchema}, {"eddy", EDDY_VERSION}, {"meta", m.meta}};
  std::string text = dump(head, 1);
  text.resize(text.size() - 2);  // "\n}": more keys follow, a line an entry
  const auto list = [&text](const char* key, const auto& entries, const auto& describe_one) {
    text += fmt::format(",\n \"{}\": [", key);
    const char* separator = "\n  ";
    for (const auto& e : entries) {
      text += separator + dump(describe_one(e));
      separator = ",\n  ";
    }
    text += entries.empty() ? "]" : "\n ]";
  };
  text += fmt::format(",\n \"chunk_bytes\": {}", kChunkBytes);
  list("files", m.files, [](const DataFile& f) { return describe(f); });
  list("attachments", m.attachments, [](const Attachment& a) {
    return Json{{"name", a.name}, {"bytes", a.bytes}, {"xxh3", a.xxh3}};
  });
  list("tensors", m.tensors, [](const StoredTensor& t) { return describe(t); });
  text += fmt::format(",\n {}{}\"\n}}\n", kHashKey, kNoHash);
  text.replace(hash_position(text), kNoHash.size(), hex64(xxh3(text)));
  return text;
}

Manifest from_text(const std::string& text, const std::string& where) {
  std::string blank = text;
  const std::size_t at = hash_position(text);
  if (at == std::string::npos) fail_input("{}: is damaged or no manifest: its checksum is missing", where);
  blank.replace(at, kNoHash.size(), kNoHash);
  if (hex64(xxh3(blank)) != text.substr(at, kNoHash.size()))
    fail_input("{}: is damaged: it does not have the checksum that it states", where);
  try {
    const auto json = parse_json<Json>(text, where);
    const int schema = number<int>(json, "schema");
    if (schema < 1 || schema > kSchema)
      fail_input("{}: is of schema {}, this program reads schemas 1 to {}: a newer Eddy wrote it", where, schema,
                 kSchema);
    return from_json(json, schema);
  } catch (const Json::exception& e) {
    fail_input("{}: is no checkpoint's manifest: {}", where, plain_text(e));
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(where)) throw;
    fail_input("{}: {}", where, e.what());
  }
}

}  // namespace eddy::checkpoint
