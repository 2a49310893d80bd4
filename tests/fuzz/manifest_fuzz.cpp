// Any bytes as a checkpoint's manifest: refused by an Error that names it, or it holds together. The checksums are put
// right first, else nothing but them would be tried; so a manifest that is read is one that somebody could have
// written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "checkpoint/manifest.h"

using namespace eddy::checkpoint;
using Json = nlohmann::ordered_json;

namespace {

/// `text` with its own hash right, where it has one.
std::string sealed(std::string text) {
  const std::string key = "\"xxh3\": \"";
  const std::size_t at = text.rfind(key);
  if (at == std::string::npos || at + key.size() + 16 > text.size()) return text;
  text.replace(at + key.size(), 16, 16, '0');
  return text.replace(at + key.size(), 16, eddy::hex64(eddy::xxh3(text)));
}

/// `text` with the hash of each of its files right, too; as it is where it is no such JSON.
std::string repaired(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("files") || !json["files"].is_array() || !json.contains("tensors"))
    return text;
  const auto hash_of = [](const Json& j, const char* key) {
    return j.is_object() && j.contains(key) && j[key].is_string()
               ? std::strtoull(j[key].get_ref<const std::string&>().c_str(), nullptr, 16)
               : 0;
  };
  for (std::size_t i = 0; i < json["files"].size(); ++i) {
    Json& file = json["files"][i];
    if (!file.is_object()) continue;
    eddy::Xxh3Stream stream;
    const std::uint64_t structure = hash_of(file, "structure_xxh3");
    stream.update(&structure, 8);
    for (const Json& t : json["tensors"]) {
      if (!t.is_object() || !t.contains("slices") || !t["slices"].is_array()) continue;
      for (const Json& s : t["slices"]) {
        if (!s.is_object() || !s.contains("file") || !s["file"].is_number_unsigned() || s["file"] != i) continue;
        const bool none = s.contains("extent") && s["extent"].is_array() &&
                          std::find(s["extent"].begin(), s["extent"].end(), Json(0)) != s["extent"].end();
        const std::uint64_t hash = hash_of(s, "xxh3");
        if (!none) stream.update(&hash, 8);
      }
    }
    file["xxh3"] = eddy::hex64(stream.digest());
  }
  json.erase("xxh3");
  json["xxh3"] = "0000000000000000";
  return sealed(json.dump(1, ' ', false, Json::error_handler_t::replace));
}

void check(const Manifest& m) {
  std::set<std::string> names;
  for (const DataFile& f : m.files)
    if (f.name.find('/') != std::string::npos || f.name == ".." || !names.insert(f.name).second) std::abort();
  std::vector<std::uint64_t> chunks(m.files.size(), 0);
  for (std::size_t i = 0; i < m.tensors.size(); ++i) {
    const StoredTensor& t = m.tensors[i];
    if (i > 0 && !(m.tensors[i - 1].name < t.name)) std::abort();
    for (const StoredSlice& s : t.slices) {
      if (s.file >= m.files.size() || s.bytes(t.dtype) == 0 || s.bytes(t.dtype) > t.bytes()) std::abort();
      if (s.begin.size() != t.shape.size() || s.extent.size() != t.shape.size()) std::abort();
      for (std::size_t d = 0; d < t.shape.size(); ++d)
        if (s.begin[d] < 0 || s.extent[d] <= 0 || s.begin[d] + s.extent[d] > t.shape[d]) std::abort();
      if (s.first_chunk != chunks[s.file]) std::abort();
      chunks[s.file] += chunks_of(s.bytes(t.dtype));
    }
  }
  for (std::uint32_t f = 0; f < m.files.size(); ++f) {
    if (chunks[f] != m.files[f].chunks) std::abort();
    try {
      std::uint64_t done = 0;
      for (const auto& [begin, end] : taken_parts(m, f, "file")) {
        if (begin < done || end < begin || end > m.files[f].bytes) std::abort();
        done = end;
      }
      if (done != m.files[f].bytes) std::abort();
    } catch (const eddy::Error&) {
    }
  }
  // Written and read again it is the same.
  const std::string text = to_text(m);
  if (to_text(from_text(text, "again")) != text) std::abort();
}

void read(const std::string& text) {
  try {
    check(from_text(text, "the manifest"));
  } catch (const eddy::Error& e) {
    const std::string what = e.what();
    if (e.status() != eddy::Exit::unusable || !what.starts_with("the manifest") || what.size() < 20) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  read(sealed(text));
  if (const std::string whole = repaired(text); whole != text) read(whole);
  return 0;
}
