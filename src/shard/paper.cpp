#include "shard/paper.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "io/file.h"
#include "text/words.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr std::uint64_t kLargestPayload = std::uint64_t{1} << 30;

std::string lower(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

/// A string, or a number as one; "" for anything else.
std::string text_of(const json& j, const char* key) {
  const auto found = j.find(key);
  if (found == j.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_integer()) return std::to_string(found->get<std::int64_t>());
  return "";
}
std::vector<std::string> list_of(const json& j, const char* key) {
  std::vector<std::string> out;
  const auto found = j.find(key);
  if (found == j.end() || !found->is_array()) return out;
  for (const json& e : *found)
    if (e.is_string()) out.push_back(e.get<std::string>());
  return out;
}

/// "2101.00001v2" → "2101.00001", "hep-th/9901001v1" → "hep-th/9901001".
std::string without_version(std::string id) {
  const std::size_t v = id.rfind('v');
  if (v != std::string::npos && v > 0 && v + 1 < id.size() && id[v - 1] >= '0' && id[v - 1] <= '9' &&
      std::all_of(id.begin() + static_cast<std::ptrdiff_t>(v) + 1, id.end(),
                  [](char c) { return c >= '0' && c <= '9'; }))
    id.resize(v);
  return id;
}

std::uint64_t key_of(std::string_view kind, std::string_view name) {
  return mix(xxh3(kind), xxh3(name));
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1) fail_run("SHA-256 failed");
  return fmt::format("{:02x}", fmt::join(digest, digest + length, ""));
}

}  // namespace

std::uint64_t Paper::split_key() const {
  return id.empty() ? 0 : std::max<std::uint64_t>(1, key_of("id", id));
}

std::vector<std::uint64_t> Paper::identities() const {
  std::vector<std::uint64_t> keys;
  if (!id.empty()) keys.push_back(key_of("id", id));
  for (const char* kind : {"doi", "s2", "openalex"})
    if (const std::string name = lower(text_of(line, kind)); !name.empty()) keys.push_back(key_of(kind, name));
  if (const std::string arxiv = without_version(lower(text_of(line, "arxiv"))); !arxiv.empty())
    keys.push_back(key_of("arxiv", arxiv));
  std::vector<std::uint64_t> words;
  text::word_hashes(title, words);
  const std::string year = text_of(line, "year");
  if (words.size() >= 4 && !year.empty())
    keys.push_back(mix(xxh3(words.data(), words.size() * sizeof(std::uint64_t)), xxh3(year)));
  return keys;
}

bool is_store_line(std::string_view text) {
  const json j = json::parse(text, nullptr, false);
  return j.is_object() && j.contains("id") && j.contains("payload") && !j.contains("text") && !j.contains("prompt");
}

Paper parse_paper(std::string_view text, const std::string& where) {
  const auto j = parse_json<json>(text, where);
  if (!j.is_object()) fail_input("{}: not a paper of a store: not an object", where);
  Paper p;
  p.id = text_of(j, "id");
  if (p.id.empty()) fail_input("{}: not a paper of a store: it has no id", where);
  p.title = text_of(j, "title");
  p.abstract = text_of(j, "abstract");
  p.licence = licence_name(text_of(j, "licence"));
  p.authors = list_of(j, "authors");
  p.fields = list_of(j, "fields");
  for (const char* key :
       {"id", "title", "authors", "doi", "arxiv", "s2", "openalex", "date", "year", "venue", "fields"})
    if (const auto found = j.find(key); found != j.end() && !found->is_null()) p.line[key] = *found;
  p.line["licence"] = p.licence;
  if (const auto payload = j.find("payload"); payload != j.end() && payload->is_object()) {
    Paper::Payload at;
    at.tar = text_of(*payload, "tar");
    const json offset = payload->value("offset", json()), bytes = payload->value("bytes", json());
    if (at.tar.empty() || !offset.is_number_unsigned() || !bytes.is_number_unsigned())
      fail_input("{}: the payload of {} lacks its tar, offset or bytes", where, p.id);
    at.offset = offset;
    at.bytes = bytes;
    at.pdf = text_of(*payload, "kind") == "pdf";
    at.sha256 = text_of(*payload, "sha256");
    p.payload = at;
  }
  return p;
}

extract::ArticleOutcome extract_paper(const Paper& paper, const fs::path& store, const extract::PdfRoute& pdf) {
  const auto reject = [](std::string why, std::string more = "") {
    return extract::ArticleOutcome{.outcome = extract::Outcome::reject(std::move(why), std::move(more))};
  };
  if (!paper.payload) return reject("store: no full text");
  const fs::path relative = fs::path(paper.payload->tar).lexically_normal();
  if (relative.is_absolute() || relative.empty() || *relative.begin() == "..")
    return reject("store: a payload outside of it", paper.payload->tar);
  if (paper.payload->bytes > kLargestPayload) return reject("larger than 1 GiB");
  const fs::path path = store / relative;
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return reject("store: a payload cannot be read", path.string() + ": " + std::strerror(errno));
  std::string bytes(paper.payload->bytes, '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(paper.payload->offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return reject("store: a payload cannot be read", path.string() + ": shorter than papers.jsonl says");
    done += static_cast<std::size_t>(n);
  }
  if (!paper.payload->sha256.empty())
    if (const std::string is = sha256(bytes); is != paper.payload->sha256)
      return reject("store: a payload is damaged",
                    fmt::format("{}, {} bytes from {} on: SHA-256 {}, papers.jsonl says {}", path.string(),
                                bytes.size(), paper.payload->offset, is, paper.payload->sha256));
  try {
    return extract::extract_payload(bytes, pdf);
  } catch (const Error& e) {
    if (e.status() != Exit::unusable) throw;
    return reject("cannot be read", e.what());
  }
}

std::string licence_name(std::string_view licence) {
  std::string s = lower(licence);
  while (!s.empty() && (s.back() == '/' || s.back() == ' ')) s.pop_back();
  if (s.empty() || s == "null" || s == "none") return "unknown";
  if (s.find("arxiv.org/licenses/nonexclusive") != std::string::npos) return "arxiv-nonexclusive";
  const auto cut = [&](std::string_view marker, const std::string& prefix) -> std::string {
    const std::size_t at = s.find(marker);
    if (at == std::string::npos) return "";
    std::string rest = s.substr(at + marker.size());
    if (const std::size_t legal = rest.find("/legalcode"); legal != std::string::npos) rest.resize(legal);
    std::replace(rest.begin(), rest.end(), '/', '-');
    return prefix + rest;
  };
  if (std::string cc = cut("creativecommons.org/licenses/", "cc-"); !cc.empty()) return cc;
  if (std::string cc = cut("creativecommons.org/publicdomain/zero/", "cc0-"); !cc.empty()) return cc;
  if (s.find("creativecommons.org/publicdomain/mark") != std::string::npos) return "public-domain";
  std::replace(s.begin(), s.end(), ' ', '-');
  return s;
}

bool licence_allowed(const std::vector<std::string>& allowed, std::string_view licence) {
  if (allowed.empty()) return true;
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& a) {
    return a.ends_with('*') ? licence.starts_with(std::string_view(a).substr(0, a.size() - 1)) : licence == a;
  });
}

}  // namespace eddy::shard
