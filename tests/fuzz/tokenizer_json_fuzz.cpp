// Any bytes as a tokenizer.json (or, where they do not begin with '{', as a split's pattern in a small one): refused by
// an Error that names the file, or a tokenizer whose ids and offsets hold together on texts of all kinds.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "tokenize/byte_level.h"
#include "tokenize/definition.h"
#include "tokenize/tokenizer.h"

using namespace eddy::tokenize;

namespace {

std::string with_pattern(std::string_view pattern) {
  using nlohmann::json;
  static const char* const behaviors[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  json vocabulary = json::object();
  for (int b = 0; b < 256; ++b) vocabulary[spell(std::string(1, static_cast<char>(b)))] = b;
  vocabulary["ab"] = 256;
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", pattern}}},
                      {"behavior", behaviors[pattern.size() % 5]},
                      {"invert", pattern.size() % 2 == 1}};
  const json last = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return json{{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, last}}}},
              {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b"}}}}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Does tokenizer.h promise decode(encode(x)) == x with this file?
bool keeps_all(const Definition& d, const Tokenizer& t) {
  if (d.pre_tokenizer.add_prefix_space) return false;
  for (const SplitRule& s : d.pre_tokenizer.splits)
    if (s.behavior == SplitBehavior::removed) return false;
  for (const AddedToken& a : d.added)
    if (a.left_strip || a.right_strip) return false;
  for (int b = 0; b < 256; ++b)
    if (!t.id_of(spell(std::string(1, static_cast<char>(b))))) return false;
  return true;
}

void check(Tokenizer& t, bool all, const std::string& text) {
  try {
    const auto ids = t.encode(text);
    if (all && t.decode(ids) != text) std::abort();
    const auto spans = t.encode_with_offsets(text);
    if (spans.size() != ids.size()) std::abort();
    std::size_t at = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= t.vocab_size() || !t.bytes_of(ids[i]) || spans[i].id != ids[i]) std::abort();
      if (spans[i].begin > spans[i].end || spans[i].end > text.size() || spans[i].begin < at) std::abort();
      if (all && spans[i].begin != at) std::abort();
      at = all ? spans[i].end : spans[i].begin;
    }
    if (all && at != text.size()) std::abort();
  } catch (const eddy::Error& e) {
    if (e.status() != eddy::Exit::failed) std::abort();  // PCRE2 ran out of its limits
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  eddy::log::configure(0, 1, eddy::log::Level::error);  // no warning for each file that lacks bytes
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string file = bytes.starts_with('{') ? std::string(bytes) : with_pattern(bytes);
  try {
    const Definition d = parse_definition(file, "the file");
    Tokenizer t = Tokenizer::from_json(file, "the file");
    const bool all = keeps_all(d, t);
    for (const std::string text : {"", "ab", " The 12 abab aa\r\n\t b's (x) <a>  ",
                                   "\u00e9\u6f22\u5b57 \u0301\u2003\U0001f600", "a\xff\xfe b\xf0\x9f"})
      check(t, all, text);
    for (const AddedToken& a : d.added) check(t, all, "x " + a.content + " y");
  } catch (const eddy::Error& e) {
    const std::string what = e.what();
    if (e.status() != eddy::Exit::unusable || !what.starts_with("the file") || what.size() < 16) std::abort();
  }
  return 0;
}
