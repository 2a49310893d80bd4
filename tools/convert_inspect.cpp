#include <fmt/format.h>

#include <cstdio>

#include "base/hash.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_contents.h"
#include "convert_statistics.h"

namespace eddy::convert {
namespace {

struct Totals {
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;
};

Totals totals(const Contents& contents) {
  Totals sum;
  for (const auto& [name, item] : contents.items()) {
    sum.elements += item.elements();
    sum.bytes += item.bytes();
  }
  return sum;
}

using AllStatistics = std::map<std::string, Statistics>;

nlohmann::ordered_json json_of(const Statistics& s) {
  nlohmann::ordered_json json = {{"zeros", s.zeros}, {"nan", s.nans}, {"infinite", s.infinities},
                                 {"mean", s.mean},   {"std", s.std},  {"norm", s.norm},
                                 {"min", s.min},     {"max", s.max},  {"xxh3", hex64(s.hash)}};
  if (s.blocks)
    json["fp8_scales"] = {{"least", s.least_scale}, {"median", s.median_scale}, {"largest", s.largest_scale}};
  return json;
}

std::string text_of(const Statistics& s) {
  return fmt::format("mean {:.4g} std {:.4g} norm {:.5g} min {:.4g} max {:.4g}{}{} xxh3 {}", s.mean, s.std, s.norm,
                     s.min, s.max, s.zeros ? fmt::format(" zeros {}", s.zeros) : "",
                     s.nans + s.infinities ? fmt::format(" NaN {} infinite {}", s.nans, s.infinities) : "",
                     hex64(s.hash));
}

void print_json(const Contents& contents, const AllStatistics& statistics) {
  const Totals sum = totals(contents);
  nlohmann::ordered_json json = {
      {"kind", contents.kind()}, {"elements", sum.elements}, {"bytes", sum.bytes}, {"about", contents.about()}};
  json["tensors"] = nlohmann::ordered_json::array();
  for (const auto& [name, item] : contents.items()) {
    nlohmann::ordered_json t = {
        {"name", name}, {"dtype", name_of(item.dtype)}, {"shape", item.shape}, {"bytes", item.bytes()}};
    if (const auto it = statistics.find(name); it != statistics.end()) t["statistics"] = json_of(it->second);
    json["tensors"].push_back(std::move(t));
  }
  fmt::print("{}\n", json.dump(1));
}

void print_text(const Contents& contents, const AllStatistics& statistics) {
  for (const auto& [key, value] : contents.about().items()) {
    std::string text = value.dump();
    if (text.size() > 100) text = text.substr(0, 97) + "...";
    fmt::print("{}: {}\n", key, text);
  }
  std::map<std::string_view, std::uint64_t> by_dtype;
  for (const auto& [name, item] : contents.items()) {
    by_dtype[name_of(item.dtype)] += item.bytes();
    fmt::print("{:>6} {:>12} {:>20}  {}\n", name_of(item.dtype), bytes_text(static_cast<double>(item.bytes())),
               hf::shape_text(item.shape), name);
    if (const auto it = statistics.find(name); it != statistics.end())
      fmt::print("{:>41} {}\n", "", text_of(it->second));
  }
  for (const auto& [dtype, bytes] : by_dtype) fmt::print("{}: {}\n", dtype, bytes_text(static_cast<double>(bytes)));
  const Totals sum = totals(contents);
  fmt::print("{} tensors, {} elements, {}\n", contents.items().size(), with_commas(sum.elements),
             bytes_text(static_cast<double>(sum.bytes)));
}

}  // namespace

int inspect(comm::Session& session, const Arguments& arguments) {
  std::string path;
  bool json = false, stats = false;
  int threads = 0;
  Options options("eddy-convert inspect", "PATH [--stats] [--json]",
                  "Shows what an Eddy checkpoint, a Hugging Face folder or a safetensors file holds.");
  options.add("path", &path, "checkpoint, folder or file", {.required = true});
  options.add("stats", &stats, "read every tensor: zeros, NaN, mean, spread, norm, range, hash (FP8 with its scales)");
  options.add("threads", &threads, "that read for --stats (0: as many as there are cores)", {.min = 0, .max = 4096});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  options.positional("path");
  if (!options.parse(arguments)) return 0;
  threads = session.set_threads(threads);
  const Contents contents(path, Contents::Names::own);
  if (session.rank() != 0) return 0;
  AllStatistics statistics;
  if (stats) {
    std::vector<std::string> names;
    for (const auto& [name, item] : contents.items()) names.push_back(name);
    log::Progress progress("reading", totals(contents).bytes, "bytes");
    statistics = all_statistics(contents, names, threads, [&](std::uint64_t done) { progress.update(done); });
  }
  json ? print_json(contents, statistics) : print_text(contents, statistics);
  return 0;
}

}  // namespace eddy::convert
