#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_contents.h"
#include "hf/folder.h"

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

void print_json(const Contents& contents) {
  const Totals sum = totals(contents);
  nlohmann::ordered_json json = {
      {"kind", contents.kind()}, {"elements", sum.elements}, {"bytes", sum.bytes}, {"about", contents.about()}};
  json["tensors"] = nlohmann::ordered_json::array();
  for (const auto& [name, item] : contents.items())
    json["tensors"].push_back(
        {{"name", name}, {"dtype", name_of(item.dtype)}, {"shape", item.shape}, {"bytes", item.bytes()}});
  fmt::print("{}\n", json.dump(1));
}

void print_text(const Contents& contents) {
  for (const auto& [key, value] : contents.about().items()) {
    std::string text = value.dump();
    if (text.size() > 100) text = text.substr(0, 97) + "...";
    fmt::print("{}: {}\n", key, text);
  }
  for (const auto& [name, item] : contents.items())
    fmt::print("{:>6} {:>12} {:>20}  {}\n", name_of(item.dtype), bytes_text(static_cast<double>(item.bytes())),
               hf::shape_text(item.shape), name);
  const Totals sum = totals(contents);
  fmt::print("{} tensors, {} elements, {}\n", contents.items().size(), with_commas(sum.elements),
             bytes_text(static_cast<double>(sum.bytes)));
}

}  // namespace

int inspect(comm::Session& session, const Arguments& arguments) {
  std::string path;
  bool json = false;
  Options options("eddy-convert inspect", "PATH [--json]",
                  "Shows what an Eddy checkpoint, a Hugging Face folder or a safetensors file holds.");
  options.add("path", &path, "checkpoint, folder or file", {.required = true});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  options.positional("path");
  if (!options.parse(arguments)) return 0;
  const Contents contents(path, Contents::Names::own);
  if (session.rank() == 0) json ? print_json(contents) : print_text(contents);
  return 0;
}

int verify(comm::Session& session, const Arguments& arguments) {
  std::string path;
  Options options(
      "eddy-convert verify", "PATH",
      "Reads a checkpoint and compares every checksum, or checks a Hugging Face folder's headers and names.");
  options.add("path", &path, "checkpoint, folder or safetensors file", {.required = true});
  options.positional("path");
  if (!options.parse(arguments)) return 0;
  if (session.rank() != 0) return 0;
  if (std::filesystem::is_directory(path) && !checkpoint::is_checkpoint(path)) {
    const hf::Folder folder(path);
    const auto unexpected = folder.check_names();
    for (const std::string& name : unexpected)
      log::warning("{}: '{}' is no part of the model that config.json describes", path, name);
    fmt::print(
        "{}: {} tensors: headers hold, every tensor of the model is there with its shape, {} others (safetensors files "
        "carry no checksums)\n",
        path, folder.tensors().size(), unexpected.size());
    return 0;
  }
  const Contents contents(path, Contents::Names::own);
  const Totals sum = totals(contents);
  std::string found = "the header holds (safetensors files carry no checksums)";
  if (contents.kind() == "checkpoint") {
    log::Progress progress("verifying", sum.bytes, "bytes");
    checkpoint::Checkpoint(path).verify([&](std::uint64_t bytes) { progress.update(bytes); });
    found = "every checksum holds";
  }
  fmt::print("{}: {} tensors, {}: {}\n", path, contents.items().size(), bytes_text(static_cast<double>(sum.bytes)),
             found);
  return 0;
}

}  // namespace eddy::convert
