// eddy-shard: documents → HDF5 shards (on all MPI ranks), and what shows, checks and tokenizes them.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/main.h"
#include "base/options.h"
#include "base/process.h"
#include "base/units.h"
#include "comm/session.h"
#include "io/run_lock.h"
#include "shard/build.h"
#include "shard/gather.h"
#include "shard_commands.h"
#include "tokenizer_commands.h"

namespace {
using namespace eddy;

std::atomic<bool> stop_asked{false};

void print_set(const shard::BuiltSet& set, const shard::BuildOptions& o) {
  const auto by_split = shard::counts_by_split(set.manifest.shards);
  for (shard::Split s : {shard::Split::train, shard::Split::validation, shard::Split::test}) {
    const shard::Counts& c = by_split[static_cast<std::size_t>(s)];
    if (c.documents > 0)
      log::info("{}{}: {} documents, {} tokens, {} of them in the loss", set.name.empty() ? "" : set.name + "/",
                shard::split_name(s), with_commas(static_cast<std::int64_t>(c.documents)),
                with_commas(static_cast<std::int64_t>(c.tokens)), with_commas(static_cast<std::int64_t>(c.targets)));
  }
  log::info("{} shard(s) in {}", set.manifest.shards.size(), (o.out / set.name).string());
}

void print_summary(const std::vector<shard::BuiltSet>& sets, const shard::BuildOptions& o) {
  const auto& r = sets.at(0).manifest.report;
  for (const auto& [reason, n] : r.at("rejected").items())
    log::info("rejected: {} × {}", n.get<std::uint64_t>(), reason);
  std::size_t shown = 0;
  for (const auto& f : r.at("first_rejected"))
    if (shown++ < 10)
      log::info("  {}: {}{}", f.at("where").get<std::string>(), f.at("reason").get<std::string>(),
                f.contains("detail") ? ": " + f.at("detail").get<std::string>() : "");
  for (const auto& [what, n] : r.at("counts").items()) log::info("{}: {}", what, n.get<std::uint64_t>());
  for (const auto& [ending, n] : r.at("files").at("skipped").items())
    log::info("skipped: {} × files ending in '{}'", n.get<std::uint64_t>(), ending);
  for (const auto& [what, names] : r.at("balance").items()) {
    if (names.size() < 2) continue;  // nothing to balance
    std::size_t listed = 0;
    for (const auto& [name, splits] : names.items())
      if (splits.contains("train") && listed++ < 20)
        log::info("balance of train: {} {}: {} tokens in {} documents", what, name,
                  with_commas(splits.at("train").at("tokens").get<std::int64_t>()),
                  with_commas(splits.at("train").at("documents").get<std::int64_t>()));
  }
  if (r.contains("questions")) log::info("evaluation task: {} questions", r.at("questions").get<std::uint64_t>());
  for (const shard::BuiltSet& set : sets) print_set(set, o);
}

void add_options(Options& options, shard::BuildOptions& o, std::vector<std::string>& weights) {
  options.add("split.validation", &o.split.validation,
              "share of the papers (or documents that are no papers) held out for validation", {.min = 0, .max = 1});
  options.add("split.test", &o.split.test, "share held out for tests", {.min = 0, .max = 1});
  options.add("split.seed", &o.split.seed, "another seed holds out other papers");
  options.add("folds", &o.split.folds, "cross-validation: cut all but the test split into so many folds; 0: none");
  options.add("fold", &o.split.fold, "which fold is the validation split, from 0");
  options.add("shard-tokens", &o.shard_tokens,
              "tokens a shard file, at most (a longer document gets a file of its own)", {.min = 1});
  options.add("overwrite", &o.overwrite, "replace the shards that are in the directory");
  options.add("commit-seconds", &o.commit_seconds, "seconds of work that a kill may cost", {.min = 0});
  options.add(
      "extract.grobid", &o.grobid.url,
      "URL of a GROBID server that PDFs are read by, such as http://localhost:8070 (poppler reads those that it "
      "fails on); empty: poppler reads all");
  options.add("extract.grobid-seconds", &o.grobid.seconds, "seconds that it may take for a PDF", {.min = 1});
  options.add("extract.grobid-patience", &o.grobid.patience_s,
              "seconds that the run waits for it while it is busy or gone", {.min = 0});
  options.add("dedup.mode", &o.dedup.mode, "which copies are left out: exact ones, near ones as well, or none",
              {.choices = {"near", "exact", "off"}});
  options.add("dedup.shingle", &o.dedup.minhash.shingle, "words a shingle", {.min = 1});
  options.add("dedup.bands", &o.dedup.minhash.bands, "bands of the MinHash signature", {.min = 1});
  options.add("dedup.rows", &o.dedup.minhash.rows, "rows a band", {.min = 1});
  options.add("dedup.seed", &o.dedup.minhash.seed, "seed of the hash functions");
  options.add("dedup.min-words", &o.dedup.min_words, "texts of fewer words are compared exactly only");
  options.add("decontaminate.files", &o.decontaminate.files,
              "evaluation sets (.jsonl, or .json with a list): documents that share a run of words are left out");
  options.add("decontaminate.words", &o.decontaminate.words, "words of such a run", {.min = 1});
  options.add("screen.quality", &o.screen.papers,
              "language and quality rules for papers of a crawl's store (auto), all texts, or none",
              {.choices = {"auto", "all", "none"}});
  options.add("screen.language", &o.screen.language, "language of screened texts (en, de, fr, ...); empty: any");
  options.add("screen.licences", &o.screen.licences,
              "licences allowed for papers of a store (cc-by-4.0, cc-by-*, unknown, ...); default: all");
  options.add("screen.mask-emails", &o.screen.mask_emails, "put [email] for e-mail addresses");
  for (text::QualityRule& rule : o.screen.rules)
    options.add("quality." + std::string(rule.name), &rule.limit,
                std::string(rule.least ? "at least: " : "at most: ") + std::string(rule.help));
  options.add("pairs.kinds", &o.pairs.kinds,
              "pairs to make of papers: abstract, summary, section, definition, theorem, equation; then --out holds "
              "text/ and pairs/");
  options.add("pairs.templates", &o.pairs.templates, "their wording; default: configs/corpus/templates.json");
  options.add("pairs.think", &o.pairs.think, "theorems by the templates that put the proof into <think>");
  options.add("pairs.phrasings", &o.pairs.phrasings, "wordings of each pair", {.min = 1});
  options.add("pairs.per-paper", &o.pairs.per_paper, "pairs of a paper, at most", {.min = 1});
  options.add("pairs.max-words", &o.pairs.max_words, "longer prompts and responses are left out", {.min = 1});
  options.add("pairs.seed", &o.pairs.seed, "another seed words them in other ways");
  options.add("pairs.together", &o.pairs.together, "texts and pairs in one directory, --out itself");
  options.add("weights", &weights,
              "how often documents are written to the training split: source=PATTERN:2 field=PATTERN:0.5 kind=text:1");
  options.add("make-task", &o.task_field,
              "also write task-FIELD.jsonl: questions with answers, from the definitions, theorems and equations (see "
              "pairs.kinds) of held-out papers of this field ('*': of all)");
}

int build_main(comm::Session& session, const std::vector<std::string>& arguments) {
  shard::BuildOptions o;
  std::string tokenizer, out;
  std::vector<std::string> weights;
  Options options(
      "eddy-shard", "--input PATH… --tokenizer tokenizer.json --out DIR   (or: eddy-shard COMMAND --help)",
      "Makes HDF5 shards of documents: .tex .md .txt .pdf, .jsonl of {\"text\"} or {\"prompt\", "
      "\"response\"}, and stores of eddy-crawl. Run it under "
      "mpiexec to use more cores; the shards are the same. A run that was killed goes on when it is started "
      "again.\nCommands: inspect, sample, train-tokenizer, "
      "tokenize, detokenize.");
  options.add("input", &o.inputs, "files, folders which are searched, and stores", {.required = true});
  options.add("tokenizer", &tokenizer, "tokenizer.json of Hugging Face's format", {.required = true});
  options.add("out", &out, "directory for the shards", {.required = true});
  add_options(options, o, weights);
  if (!options.parse(arguments)) return 0;
  for (const std::string& w : weights) o.weights.push_back(shard::parse_weight(w));
  if (!o.task_field.empty() && o.pairs.kinds.empty())
    fail_input("make-task needs pairs to ask for: name some by pairs.kinds (definition theorem, say)");
  if (options.given("fold") && o.split.folds == 0)
    fail_input("fold = {} without folds: say by folds how many there are", o.split.fold);
  o.tokenizer = tokenizer;
  o.out = out;
  o.stop = &stop_asked;
  for (const int signal : {SIGTERM, SIGUSR1}) std::signal(signal, [](int) { stop_asked = true; });
  session.set_timeout(0);           // ranks wait for the one with the longest document
  std::optional<io::RunLock> lock;  // two runs into one directory would remove each other's work
  shard::together(session.world(), [&] {
    if (session.rank() != 0) return;
    while (out.size() > 1 && out.ends_with('/')) out.pop_back();
    const std::filesystem::path file = std::filesystem::absolute(out + ".lock");
    std::error_code ignored;
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), ignored);
    lock.emplace(file, this_process());
  });
  const auto sets = shard::build_sets(session.world(), o);
  if (session.rank() == 0) print_summary(sets, o);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::map<std::string, int (*)(const std::vector<std::string>&)> commands{
      {"inspect", inspect_main},
      {"sample", sample_main},
      {"train-tokenizer", train_tokenizer_main},
      {"tokenize", [](const std::vector<std::string>& a) { return tokenize_main(a); }},
      {"detokenize", [](const std::vector<std::string>& a) { return detokenize_main(a); }}};
  if (!arguments.empty() && !arguments[0].starts_with("-")) {
    return eddy::run_main("eddy-shard " + arguments[0], [&] {
      const auto command = commands.find(arguments[0]);
      if (command != commands.end()) return command->second({arguments.begin() + 1, arguments.end()});
      std::vector<std::string> names;
      for (const auto& [name, main] : commands) names.push_back(name);
      const std::string near = eddy::nearest(arguments[0], names);
      eddy::fail_input("no such command{}; see eddy-shard --help", near.empty() ? "" : ": did you mean " + near + "?");
    });
  }
  return eddy::comm::run_mpi_main("eddy-shard", argc, argv,
                                  [&](eddy::comm::Session& session) { return build_main(session, arguments); });
}
