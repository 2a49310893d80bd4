#include "bench_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/options.h"
#include "io/file.h"
#include "tokenize/tokenizer.h"

using namespace eddy;
using tokenize::Tokenizer;

namespace {

/// Processor time: the work is on one thread, and other programs on the machine do not count.
double seconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

/// The best of `passes` runs of `work`, each with a clone whose cache is empty.
double best_cold(const Tokenizer& tokenizer, int passes, const std::function<void(Tokenizer&)>& work) {
  double best = 1e300;
  for (int i = 0; i < passes; ++i) {
    Tokenizer fresh = tokenizer.clone();
    best = std::min(best, seconds([&] { work(fresh); }));
  }
  return best;
}

}  // namespace

int bench_tokenizer(const std::vector<std::string>& arguments) {
  std::string tokenizer_file, text_file;
  int passes = 5;
  bool as_json = false;
  Options options("eddy-bench tokenizer", "--tokenizer FILE --text FILE",
                  "Measures how fast one thread encodes a text.");
  options.add("tokenizer", &tokenizer_file, "a tokenizer.json", {.required = true});
  options.add("text", &text_file, "the text to encode", {.required = true});
  options.add("passes", &passes, "runs of each measurement; the best one counts", {.min = 1});
  options.add("json", &as_json, "print one JSON object");
  if (!options.parse(arguments)) return 0;

  const std::string text = io::read_file(text_file);
  if (text.empty()) fail_input("{} is empty: there is nothing to measure", text_file);
  std::optional<Tokenizer> tokenizer;
  const double load_s = seconds([&] { tokenizer.emplace(Tokenizer::load(tokenizer_file)); });
  std::vector<std::uint32_t> ids;
  const double cold_s = best_cold(*tokenizer, passes, [&](Tokenizer& t) { ids = t.encode(text); });
  Tokenizer warm = tokenizer->clone();
  warm.encode(text);
  double warm_s = 1e300;
  for (int i = 0; i < passes; ++i) warm_s = std::min(warm_s, seconds([&] { warm.encode(text); }));

  const double mb = static_cast<double>(text.size()) / 1e6;
  nlohmann::ordered_json result = {{"bytes", text.size()},
                                   {"tokens", ids.size()},
                                   {"load_s", load_s},
                                   {"cold_mb_per_s", mb / cold_s},
                                   {"warm_mb_per_s", mb / warm_s},
                                   {"cold_tokens_per_s", static_cast<double>(ids.size()) / cold_s}};
  for (const auto& [name, character] : {std::pair{"letter", 'a'}, {"space", ' '}, {"digit", '1'}}) {
    const std::string two(2 << 20, character), one(1 << 20, character);
    const double t1 = best_cold(*tokenizer, passes, [&](Tokenizer& t) { t.encode(one); });
    const double t2 = best_cold(*tokenizer, passes, [&](Tokenizer& t) { t.encode(two); });
    result["runs"][name] = {{"s_1_mib", t1}, {"s_2_mib", t2}, {"ratio", t2 / t1}};
  }
  if (as_json) {
    fmt::print("{}\n", result.dump());
    return 0;
  }
  fmt::print("{} bytes, {} tokens; the tokenizer loads in {:.2f} s\n", text.size(), ids.size(), load_s);
  fmt::print("cold cache {:8.2f} MB/s, {:.0f} tokens/s\nwarm cache {:8.2f} MB/s\n", mb / cold_s,
             result["cold_tokens_per_s"].get<double>(), mb / warm_s);
  for (const auto& [name, run] : result["runs"].items())
    fmt::print("run of one {:6} 1 MiB {:.4f} s, 2 MiB {:.4f} s, ratio {:.2f}\n", name, run["s_1_mib"].get<double>(),
               run["s_2_mib"].get<double>(), run["ratio"].get<double>());
  return 0;
}
