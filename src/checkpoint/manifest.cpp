#include "checkpoint/manifest.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "io/file.h"

namespace eddy::checkpoint {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::string_view kHashKey = "\"xxh3\": \"", kNoHash = "0000000000000000";

Json describe(const Extent& t) {
  return {{"name", t.name}, {"dtype", name_of(t.dtype)}, {"shape", t.shape}, {"offset", t.offset}, {"xxh3", t.xxh3}};
}

Extent extent_from(const Json& json, std::uint64_t first_chunk) {
  Extent t;
  t.name = json.at("name").get<std::string>();
  t.dtype = parse_dtype(json.at("dtype").get<std::string>(), t.name);
  t.shape = json.at("shape").get<std::vector<std::int64_t>>();
  t.offset = json.at("offset").get<std::uint64_t>();
  t.xxh3 = json.at("xxh3").get<std::string>();
  t.first_chunk = first_chunk;
  std::int64_t bytes = static_cast<std::int64_t>(size_of(t.dtype));
  for (const std::int64_t extent : t.shape)
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes))
      fail_input("tensor '{}' has an impossible shape", t.name);
  return t;
}

Manifest from_json(const Json& json) {
  Manifest m;
  m.meta = json.at("meta");
  const Json& data = json.at("data");
  m.data_bytes = data.at("bytes").get<std::uint64_t>();
  m.checksums_offset = data.at("checksums_offset").get<std::uint64_t>();
  m.structure_xxh3 = data.at("structure_xxh3").get<std::string>();
  for (const Json& t : json.at("tensors")) m.tensors.push_back(extent_from(t, m.chunks()));
  for (const Json& a : json.at("attachments")) {
    m.attachments.push_back(
        {a.at("name").get<std::string>(), a.at("bytes").get<std::uint64_t>(), a.at("xxh3").get<std::string>()});
    const std::string& name = m.attachments.back().name;
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
      fail_input("'{}' is no attachment's name", name);
  }
  const auto by_name = [](const Extent& a, const Extent& b) { return a.name < b.name; };
  if (!std::is_sorted(m.tensors.begin(), m.tensors.end(), by_name)) fail_input("its tensors are not in order");
  return m;
}

/// Where the manifest's own hash stands in its text.
std::size_t hash_position(const std::string& text) {
  const std::size_t key = text.rfind(kHashKey);
  return key == std::string::npos || key + kHashKey.size() + kNoHash.size() > text.size() ? std::string::npos
                                                                                          : key + kHashKey.size();
}

}  // namespace

std::uint64_t Extent::bytes() const {
  std::uint64_t bytes = size_of(dtype);
  for (const std::int64_t extent : shape) bytes *= static_cast<std::uint64_t>(extent);
  return bytes;
}

std::string to_text(const Manifest& m) {
  Json json = {{"format", "eddy checkpoint"}, {"schema", kSchema}, {"eddy", EDDY_VERSION}, {"meta", m.meta}};
  json["data"] = {{"file", kDataFile},
                  {"bytes", m.data_bytes},
                  {"chunk_bytes", kChunkBytes},
                  {"checksums_offset", m.checksums_offset},
                  {"structure_xxh3", m.structure_xxh3}};
  json["attachments"] = Json::array();
  for (const Attachment& a : m.attachments)
    json["attachments"].push_back({{"name", a.name}, {"bytes", a.bytes}, {"xxh3", a.xxh3}});
  json["tensors"] = Json::array();
  for (const Extent& t : m.tensors) json["tensors"].push_back(describe(t));
  json["xxh3"] = kNoHash;
  std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";  // a path may be no UTF-8
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
    if (const int schema = json.at("schema").get<int>(); schema != kSchema)
      fail_input("{}: is of schema {}, this program reads schema {}", where, schema, kSchema);
    return from_json(json);
  } catch (const Json::exception& e) {
    fail_input("{}: is no checkpoint's manifest: {}", where, e.what());
  }
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

std::string hash_structure(const Manifest& m, int file, const std::string& where) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;  // [begin, end) of tensors and checksums
  for (const Extent& t : m.tensors)
    if (t.bytes()) taken.emplace_back(t.offset, t.offset + t.bytes());
  if (m.chunks()) taken.emplace_back(m.checksums_offset, m.checksums_offset + 8 * m.chunks());
  taken.emplace_back(m.data_bytes, m.data_bytes);
  std::sort(taken.begin(), taken.end());
  Xxh3Stream hash;
  std::vector<char> buffer;
  std::uint64_t done = 0;
  for (const auto& [begin, end] : taken) {
    if (begin < done || end < begin || end > m.data_bytes)
      fail_input("{}: its manifest places tensors over one another or outside the file", where);
    for (; done < begin; done += buffer.size()) {
      buffer.resize(std::min(begin - done, kChunkBytes));
      read_at(file, buffer.data(), buffer.size(), done, where);
      hash.update(buffer.data(), buffer.size());
    }
    done = end;
  }
  return hex64(hash.digest());
}

Attachment describe_file(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return {path.filename().string(), file.bytes().size(), hex64(xxh3(file.bytes().data(), file.bytes().size()))};
}

}  // namespace eddy::checkpoint
