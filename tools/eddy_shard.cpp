// eddy-shard: documents → HDF5 shards (on all MPI ranks), and what shows, checks and tokenizes them.
#include <cstdio>
#include <map>

#include "base/log.h"
#include "base/main.h"
#include "base/options.h"
#include "base/units.h"
#include "comm/session.h"
#include "shard/build.h"
#include "shard_commands.h"
#include "tokenizer_commands.h"

namespace {
using namespace eddy;

void print_summary(const shard::Manifest& m, const shard::BuildOptions& o) {
  const auto& r = m.report;
  for (const auto& [reason, n] : r.at("rejected").items())
    log::info("rejected: {} × {}", n.get<std::uint64_t>(), reason);
  std::size_t shown = 0;
  for (const auto& f : r.at("first_rejected"))
    if (shown++ < 10)
      log::info("  {}: {}{}", f.at("where").get<std::string>(), f.at("reason").get<std::string>(),
                f.contains("detail") ? ": " + f.at("detail").get<std::string>() : "");
  for (const auto& [ending, n] : r.at("files").at("skipped").items())
    log::info("skipped: {} × files ending in '{}'", n.get<std::uint64_t>(), ending);
  const auto by_split = shard::counts_by_split(m.shards);
  for (shard::Split s : {shard::Split::train, shard::Split::validation, shard::Split::test}) {
    const shard::Counts& c = by_split[static_cast<std::size_t>(s)];
    if (c.documents > 0)
      log::info("{}: {} documents, {} tokens, {} of them in the loss", shard::split_name(s),
                with_commas(static_cast<std::int64_t>(c.documents)), with_commas(static_cast<std::int64_t>(c.tokens)),
                with_commas(static_cast<std::int64_t>(c.targets)));
  }
  log::info("{} shard(s) in {}", m.shards.size(), o.out.string());
}

int build_main(comm::Session& session, const std::vector<std::string>& arguments) {
  shard::BuildOptions o;
  std::string tokenizer, out;
  Options options("eddy-shard", "--input PATH… --tokenizer tokenizer.json --out DIR   (or: eddy-shard COMMAND --help)",
                  "Makes HDF5 shards of documents: .tex .md .txt .pdf, and .jsonl of {\"text\"} or {\"prompt\", "
                  "\"response\"}. Run it under "
                  "mpiexec to use more cores; the shards are the same.\nCommands: inspect, sample, train-tokenizer, "
                  "tokenize, detokenize.");
  options.add("input", &o.inputs, "files, and folders which are searched", {.required = true});
  options.add("tokenizer", &tokenizer, "tokenizer.json of Hugging Face's format", {.required = true});
  options.add("out", &out, "directory for the shards", {.required = true});
  options.add("split.validation", &o.split.validation,
              "share of the documents held out for validation, by their content", {.min = 0, .max = 1});
  options.add("split.test", &o.split.test, "share of the documents held out for tests", {.min = 0, .max = 1});
  options.add("split.seed", &o.split.seed, "another seed holds out other documents");
  options.add("shard-tokens", &o.shard_tokens,
              "tokens a shard file, at most (a longer document gets a file of its own)", {.min = 1});
  options.add("overwrite", &o.overwrite, "replace the shards that are in the directory");
  if (!options.parse(arguments)) return 0;
  o.tokenizer = tokenizer;
  o.out = out;
  session.set_timeout(0);  // ranks wait for the one with the longest document
  const shard::Manifest manifest = shard::build_dataset(session.world(), o);
  if (session.rank() == 0) print_summary(manifest, o);
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
