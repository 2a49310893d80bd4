#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_audit.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "hf/fp8.h"

namespace eddy::convert {
namespace {

struct Checked {
  Audited audited;
  std::size_t tensors = 0;
  std::string held;  ///< what was found to hold where nothing was found
};

std::vector<std::string> names_of(const Contents& contents) {
  std::vector<std::string> names;
  for (const auto& [name, item] : contents.items()) names.push_back(name);
  return names;
}

std::map<std::string, Statistics> statistics(const Contents& contents, int threads) {
  std::uint64_t bytes = 0;
  for (const auto& [name, item] : contents.items()) bytes += item.bytes();
  log::Progress progress("auditing", bytes, "bytes");
  return all_statistics(contents, names_of(contents), threads, [&](std::uint64_t done) { progress.update(done); });
}

Checked check_model(const Contents& contents, const std::string& against, int threads) {
  Checked out;
  const AuditedModel model = audited_model(contents);
  audit_names(model, out.audited);
  audit_values(model, statistics(contents, threads), out.audited);
  if (!against.empty()) {
    const Contents reference(against, Contents::Names::hugging_face);
    audit_against(model, reference, threads, out.audited);
  }
  out.tensors = contents.items().size();
  return out;
}

Checked check_folder(const std::string& path, const std::string& against, int threads) {
  const Contents contents(path, Contents::Names::hugging_face);
  Checked out = check_model(contents, against, threads);
  audit_files(*contents.folder(), threads, out.audited);
  out.held = "every tensor of the model is there, distinct, finite and at its scale";
  return out;
}

/// Every byte once, with its checksum: the model's tensors by their statistics, the moments by their audit, then what
/// is left.
Checked check_checkpoint(const std::string& path, const std::string& against, int threads) {
  Checked out;
  const Contents own(path, Contents::Names::own);
  own.checkpoint()->verify_rest();
  std::set<std::string> read;
  if (own.about().is_object() && own.about().contains("config")) {
    const Contents model(path, Contents::Names::hugging_face);
    out = check_model(model, against, threads);
    read = model.stored();
    read.merge(audit_moments(own, threads, out.audited));
    out.held = "every checksum holds; every tensor of the model is there, distinct, finite and at its scale";
  } else {
    out.held = "every checksum holds (no model to audit)";
  }
  std::uint64_t bytes = 0, done = 0;
  for (const auto& [name, item] : own.items()) bytes += read.count(name) ? 0 : item.bytes();
  log::Progress progress("verifying the rest", bytes, "bytes");
  for (const auto& [name, item] : own.items()) {
    if (read.count(name)) continue;
    own.checkpoint()->verify_tensor(name);
    progress.update(done += item.bytes());
  }
  out.tensors = own.items().size();
  return out;
}

Checked check_file(const std::string& path, int threads) {
  Checked out;
  const Contents contents(path, Contents::Names::own);
  for (const auto& [name, s] : statistics(contents, threads))
    if (s.nans || s.infinities)
      out.audited.findings.push_back(fmt::format("'{}': {} NaN and {} infinite values", name, s.nans, s.infinities));
  out.tensors = contents.items().size();
  out.held = "the header holds, every value is finite (safetensors files carry no checksums)";
  return out;
}

}  // namespace

int verify(comm::Session& session, const Arguments& arguments) {
  std::string path, against;
  bool json = false;
  int threads = 0;
  Options options(
      "eddy-convert verify", "PATH [--against REFERENCE] [--json]",
      "Audits a checkpoint or a Hugging Face folder: checksums, names, shapes, and content that is silently "
      "wrong. Ends with 1 when it found something, which it names.");
  options.add("path", &path, "checkpoint, folder or safetensors file", {.required = true});
  options.add("against", &against,
              "the folder or checkpoint that it came from: tensors far from those of the same name are found, and "
              "exchanged experts");
  options.add("threads", &threads, "that read and compute (0: as many as there are cores)", {.min = 0, .max = 4096});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  options.positional("path");
  if (!options.parse(arguments)) return 0;
  threads = session.set_threads(threads);
  if (session.rank() != 0) return 0;
  Checked found;
  if (checkpoint::is_checkpoint(path))
    found = check_checkpoint(path, against, threads);
  else if (std::filesystem::is_directory(path))
    found = check_folder(path, against, threads);
  else
    found = check_file(path, threads);
  const auto& [findings, notes] = found.audited;
  if (json) {
    fmt::print(
        "{}\n",
        nlohmann::ordered_json{{"path", path}, {"tensors", found.tensors}, {"findings", findings}, {"notes", notes}}
            .dump(1));
  } else {
    for (const std::string& note : notes) log::info("{}: {}", path, note);
    for (const std::string& finding : findings) fmt::print("{}: {}\n", path, finding);
    fmt::print("{}: {} tensors: {}\n", path, found.tensors,
               findings.empty() ? found.held : fmt::format("{} findings", findings.size()));
  }
  return findings.empty() ? 0 : 1;
}

}  // namespace eddy::convert
