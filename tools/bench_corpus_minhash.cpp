#include "bench_corpus_minhash.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "base/options.h"
#include "base/rng.h"
#include "io/file.h"
#include "text/minhash.h"

using namespace eddy;
using nlohmann::ordered_json;

namespace {

std::vector<std::string> texts_of(const std::string& jsonl) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < jsonl.size();) {
    const std::size_t end = std::min(jsonl.find('\n', at), jsonl.size());
    const auto j = nlohmann::json::parse(std::string_view(jsonl).substr(at, end - at), nullptr, false);
    if (!j.is_object() || !j.contains("text") || !j.at("text").is_string())
      fail_input("line {} is no {{\"text\"}}", texts.size() + 1);
    texts.push_back(j.at("text"));
    at = end + 1;
  }
  return texts;
}

}  // namespace

std::string made_text(std::uint64_t seed, std::uint64_t words) {
  std::string out;
  for (std::uint64_t w = 0; w < words; ++w) {
    const Philox r = philox(seed, w);
    const double u = uniform01(r[0]);
    const auto word = static_cast<std::uint32_t>(20000 * u * u * u);
    const std::uint64_t letters = mix(77, word);
    for (std::uint64_t c = 0; c < 2 + (word > 50) * 2 + letters % 8; ++c)
      out += static_cast<char>('a' + mix(letters, c) % 26);
    out += w % 15 == 14 ? ".\n" : " ";
  }
  return out;
}

std::string made_documents(std::uint64_t documents, std::uint64_t words) {
  std::string out;
  for (std::uint64_t d = 0; d < documents; ++d)
    out += nlohmann::json{{"text", made_text(1000 + d, words)}}.dump() + "\n";
  return out;
}

ordered_json bench_minhash(const std::vector<std::string>& texts, int passes) {
  text::MinHasher hasher(text::MinHashConfig{});
  std::uint64_t bytes = 0, words = 0, sum = 0;
  double best = 1e300;
  for (int pass = 0; pass < passes; ++pass) {
    bytes = words = 0;
    const std::clock_t start = std::clock();
    for (const std::string& t : texts) {
      for (const std::uint64_t key : hasher.keys(t)) sum += key;
      bytes += t.size();
      words += hasher.words();
    }
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return {{"documents", texts.size()},
          {"bytes", bytes},
          {"words", words},
          {"seconds", best},
          {"mb_per_s", static_cast<double>(bytes) / best / 1e6},
          {"checksum", sum}};
}

int bench_corpus_minhash(const std::vector<std::string>& arguments) {
  std::string file;
  std::uint64_t documents = 500, words = 5000;
  int passes = 5;
  bool json = false;
  Options options("eddy-bench corpus-minhash", "[--jsonl FILE] [--json]",
                  "Speed of MinHash signatures and their band keys on one core (tests/reference/bench_minhash.py: "
                  "beside datatrove's).");
  options.add("jsonl", &file, "documents, {\"text\"} a line; default: made-up ones");
  options.add("documents", &documents, "made-up documents", {.min = 1});
  options.add("words", &words, "words of each", {.min = 1});
  options.add("passes", &passes, "the best counts", {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;
  const ordered_json r =
      bench_minhash(texts_of(file.empty() ? made_documents(documents, words) : io::read_file(file)), passes);
  if (json)
    fmt::print("{}\n", r.dump());
  else
    fmt::print("MinHash, word 5-grams, 14 bands of 8 rows: {:.1f} MB/s on one core ({} documents, {} words)\n",
               r.at("mb_per_s").get<double>(), r.at("documents").get<std::uint64_t>(),
               r.at("words").get<std::uint64_t>());
  return 0;
}
