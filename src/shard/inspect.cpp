#include "shard/inspect.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "base/units.h"
#include "shard/corpus.h"
#include "shard/format.h"
#include "shard/manifest.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::ordered_json;
namespace {

struct SplitSummary {
  Counts counts;
  std::uint64_t longest = 0, files = 0;
  std::map<std::string, Counts> sources;
};

void add_shard(SplitSummary& summary, const Shard& shard, std::unordered_map<std::uint64_t, Split>& split_of_hash) {
  ++summary.files;
  for (std::uint64_t i = 0; i < shard.documents(); ++i) {
    const DocumentView d = shard.document(i);
    const auto [known, is_new] = split_of_hash.try_emplace(d.hash, shard.split());
    if (!is_new && known->second != shard.split())
      fail_input("{}: document {} (from {}) is also in the {} split: the shards are not of one build",
                 shard.path().string(), i, shard.source_name(d.source), split_name(known->second));
    const Counts one{1, d.tokens.size(), d.tokens.size() - d.prompt};
    summary.counts += one;
    summary.sources[std::string(shard.source_name(d.source))] += one;
    summary.longest = std::max<std::uint64_t>(summary.longest, d.tokens.size());
  }
}

void verify_file(const Shard& shard, const ShardEntry& entry) {
  shard.verify();
  const std::uint64_t is = xxh3(io::MappedFile(shard.path()).text());
  if (is != entry.xxh3)
    fail_input("{}: damaged: the file's hash is {}, the manifest says {}", shard.path().string(), hex64(is),
               hex64(entry.xxh3));
}

double masked_share(const Counts& c) {
  return c.tokens > 0 ? 1 - static_cast<double>(c.targets) / static_cast<double>(c.tokens) : 0;
}

}  // namespace

ordered_json inspect(const fs::path& dir, bool verify) {
  const Manifest manifest = read_manifest(dir);
  if (verify) check_tokenizer_file(dir, manifest, true);
  ordered_json splits = ordered_json::object();
  std::unordered_map<std::uint64_t, Split> split_of_hash;
  for (Split split : {Split::train, Split::validation, Split::test}) {
    std::vector<const ShardEntry*> entries;
    for (const ShardEntry& e : manifest.shards)
      if (e.split == split) entries.push_back(&e);
    if (entries.empty()) continue;
    const Corpus corpus({dir}, split);
    if (corpus.tokenizer_hash() != manifest.tokenizer_hash)
      fail_input("{}: not made with the tokenizer of its manifest", dir.string());
    SplitSummary s;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (verify) verify_file(corpus.shards()[i], *entries[i]);
      add_shard(s, corpus.shards()[i], split_of_hash);
    }
    ordered_json sources = ordered_json::object();
    auto& entries_of =
        sources.get_ref<ordered_json::object_t&>();  // by name already: looking each up would be quadratic
    for (const auto& [name, c] : s.sources)
      entries_of.emplace_back(name,
                              ordered_json{{"documents", c.documents}, {"tokens", c.tokens}, {"targets", c.targets}});
    splits[std::string(split_name(split))] = {{"documents", s.counts.documents},
                                              {"tokens", s.counts.tokens},
                                              {"targets", s.counts.targets},
                                              {"masked_share", masked_share(s.counts)},
                                              {"longest_document", s.longest},
                                              {"files", s.files},
                                              {"sources", sources}};
  }
  return {{"directory", dir.string()},
          {"tokenizer", {{"xxh3", hex64(manifest.tokenizer_hash)}, {"vocab_size", manifest.vocab_size}}},
          {"verified", verify},
          {"splits", splits},
          {"report", manifest.report}};
}

std::string inspect_text(const ordered_json& j, std::size_t most) {
  const auto number = [](const ordered_json& n) { return with_commas(n.get<std::int64_t>()); };
  std::string out =
      fmt::format("{}: tokenizer {} with {} entries{}\n", j.at("directory").get<std::string>(),
                  j.at("tokenizer").at("xxh3").get<std::string>(), number(j.at("tokenizer").at("vocab_size")),
                  j.at("verified").get<bool>() ? "; every file verified" : "; files not verified");
  for (const auto& [name, s] : j.at("splits").items()) {
    out += fmt::format(
        "\n{}: {} documents, {} tokens, {} in the loss ({:.1f}% masked), longest document {} tokens, {} file(s)\n",
        name, number(s.at("documents")), number(s.at("tokens")), number(s.at("targets")),
        100 * s.at("masked_share").get<double>(), number(s.at("longest_document")), s.at("files").get<std::uint64_t>());
    const auto& by_name = s.at("sources").get_ref<const ordered_json::object_t&>();
    std::vector<std::pair<std::string, ordered_json>> sources(by_name.begin(), by_name.end());
    std::stable_sort(sources.begin(), sources.end(),
                     [](const auto& a, const auto& b) { return a.second.at("tokens") > b.second.at("tokens"); });
    for (std::size_t i = 0; i < std::min(most, sources.size()); ++i)
      out += fmt::format("  {:>14} tokens {:>10} documents  {}\n", number(sources[i].second.at("tokens")),
                         number(sources[i].second.at("documents")), sources[i].first);
    if (sources.size() > most) out += fmt::format("  and {} more sources\n", sources.size() - most);
  }
  if (j.at("report").contains("rejected") && !j.at("report").at("rejected").empty()) {
    out += "\nrejected documents:\n";
    for (const auto& [reason, n] : j.at("report").at("rejected").items())
      out += fmt::format("  {:>10}  {}\n", number(n), reason);
  }
  return out;
}

std::string document_text(const DocumentView& d, const tokenize::Tokenizer& tokenizer, std::uint64_t max_tokens,
                          bool colour) {
  const auto shown = d.tokens.first(std::min<std::uint64_t>(d.tokens.size(), max_tokens));
  const auto masked = shown.first(std::min<std::size_t>(d.prompt, shown.size()));
  std::string out;
  if (!masked.empty())
    out += fmt::format("{}⟦{}⟧{}", colour ? "\x1b[2m" : "", tokenizer.decode(masked), colour ? "\x1b[0m" : "");
  out += tokenizer.decode(shown.subspan(masked.size()));
  if (shown.size() < d.tokens.size()) out += fmt::format(" … and {} more tokens", d.tokens.size() - shown.size());
  return out;
}

}  // namespace eddy::shard
