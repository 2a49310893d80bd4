#include "shard_commands.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/options.h"
#include "shard/corpus.h"
#include "shard/format.h"
#include "shard/inspect.h"
#include "shard/order.h"
#include "tokenize/tokenizer.h"

using namespace eddy;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {
std::string dump(const ordered_json& j, int indent) {
  return j.dump(indent, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}
void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}
}  // namespace

int inspect_main(const std::vector<std::string>& arguments) {
  std::string dir;
  bool json = false, verify = true;
  std::uint64_t sources = 20;
  Options options("eddy-shard inspect", "DIR [--json]", "Shows what a directory of shards holds, and checks it.");
  options.add("dir", &dir, "directory that eddy-shard wrote", {.required = true});
  options.positional("dir");
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  options.add("verify", &verify, "read all files and compare checksums");
  options.add("sources", &sources, "input files listed a split, the largest first");
  if (!options.parse(arguments)) return 0;
  const ordered_json result = shard::inspect(dir, verify);
  print(json ? dump(result, 2) : shard::inspect_text(result, sources));
  return 0;
}

int sample_main(const std::vector<std::string>& arguments) {
  std::string dir, tokenizer_file, split_text = "train";
  bool json = false;
  std::uint64_t n = 5, seed = 0, max_tokens = 400;
  Options options("eddy-shard sample", "DIR [--n 5]",
                  "Shows documents of a directory of shards, decoded. What stands between ⟦ and ⟧ is masked: read by "
                  "the model, but no target of "
                  "the loss.");
  options.add("dir", &dir, "directory that eddy-shard wrote", {.required = true});
  options.positional("dir");
  options.add("n", &n, "how many documents");
  options.add("split", &split_text, "of which split", {.choices = {"train", "validation", "test"}});
  options.add("seed", &seed, "another seed shows other documents");
  options.add("max-tokens", &max_tokens, "tokens shown of each", {.min = 1});
  options.add("tokenizer", &tokenizer_file, "tokenizer.json; default: the copy in the directory");
  options.add("json", &json, "print one JSON object a document", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  const auto split = static_cast<shard::Split>(
      std::find(shard::kSplitNames.begin(), shard::kSplitNames.end(), split_text) - shard::kSplitNames.begin());
  const shard::Corpus corpus({dir}, split);
  const fs::path file = tokenizer_file.empty() ? fs::path(dir) / shard::kTokenizerName : fs::path(tokenizer_file);
  const auto tokenizer = tokenize::Tokenizer::load(file);
  shard::check_tokenizer(corpus.tokenizer_hash(), dir, tokenizer.hash(), file.string());

  const shard::Permutation order(corpus.documents(), seed);
  for (std::uint64_t i = 0; i < std::min(n, corpus.documents()); ++i) {
    const std::uint64_t number = order(i);
    const auto place = corpus.place(number);
    const shard::DocumentView d = corpus.document(number);
    const std::string source(corpus.shards()[place.shard].source_name(d.source));
    if (json) {
      print(dump({{"document", number},
                  {"source", source},
                  {"tokens", d.tokens.size()},
                  {"masked", d.prompt},
                  {"prompt", tokenizer.decode(d.tokens.first(d.prompt))},
                  {"text", tokenizer.decode(d.tokens.subspan(d.prompt))}},
                 -1));
    } else {
      print(fmt::format("—— {} document {}: {}, {} tokens, {} masked\n{}\n\n", split_text, number, source,
                        d.tokens.size(), d.prompt, shard::document_text(d, tokenizer, max_tokens, isatty(1) == 1)));
    }
  }
  return 0;
}
