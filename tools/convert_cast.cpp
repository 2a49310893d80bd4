#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/options.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_write.h"
#include "io/file.h"

namespace eddy::convert {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

/// config.json as it is, but for what the dtype changes.
std::string recast_config(const std::string& original, Dtype dtype, const Json& quantization) {
  Json json = Json::parse(original);
  json[json.contains("dtype") && !json.contains("torch_dtype") ? "dtype" : "torch_dtype"] =
      dtype == Dtype::f32 ? "float32" : "bfloat16";
  if (dtype == Dtype::f8e4m3)
    json["quantization_config"] = quantization;
  else
    json.erase("quantization_config");
  return json.dump(2) + "\n";
}

/// Where each tensor of the output goes: into the file of its name in the input, scales to where they stood or to their
/// weight.
std::map<std::string, std::string> weight_map(const Contents& in, const std::vector<hf::Declared>& tensors,
                                              const std::optional<hf::KeptScales>& kept) {
  std::set<std::string> files;
  for (const auto& [name, t] : in.folder()->tensors()) files.insert(fs::path(t.file).filename());
  std::map<std::string, std::string> map;
  for (const auto& t : tensors) {
    const std::string matrix = hf::weight_of_scale(t.name);
    const auto stood = kept ? kept->files.find(t.name) : std::map<std::string, std::string>::const_iterator{};
    if (!in.has(t.name) && kept && stood != kept->files.end() && files.count(stood->second))
      map[t.name] = stood->second;
    else
      map[t.name] = fs::path(in.folder()->tensors().at(in.has(t.name) ? t.name : matrix).file).filename();
  }
  return map;
}

std::string source_of(const Contents& in, const std::string& dtype) {
  std::set<std::string> files;
  for (const auto& [name, t] : in.folder()->tensors()) files.insert(t.file);
  std::string text = "cast " + dtype + "\n" + in.folder()->config().original + "\n";
  for (const std::string& file : files) text += fingerprint(file, false) + "\n";
  const fs::path kept = in.folder()->path() / hf::kScalesFile;
  if (fs::exists(kept)) text += fingerprint(kept, true);
  return hex64(xxh3(text));
}

}  // namespace

int cast_folder(comm::Session& session, const Arguments& arguments) {
  std::string in, out, dtype, read_back = "cache";
  bool overwrite = false;
  int threads = 0;
  Options options(
      "eddy-convert cast", "--in DIR --out DIR --dtype bf16|fp8 [options]",
      "Makes a Hugging Face folder in BF16 of one in FP8, or the reverse, file by file; goes on where it was "
      "interrupted.");
  options.add("in", &in, "folder with config.json and safetensors files", {.required = true});
  options.add("out", &out, "folder to write", {.required = true});
  options.add(
      "dtype", &dtype,
      "of the weights: bf16, or fp8 (e4m3 in blocks of 128 x 128; norms, router, embedding, heads become bf16); "
      "e_score_correction_bias stays f32",
      {.choices = {"bf16", "fp8", "f32"}, .required = true});
  add_writing_options(options, threads, read_back, overwrite);
  if (!options.parse(arguments)) return 0;
  check_output(session.world(), in, out, overwrite, Output::folder);

  const Contents from(in, Contents::Names::own);
  if (!from.folder())
    fail_input("{}: is a {}; cast takes a Hugging Face folder (to-hf makes one of a checkpoint)", in, from.kind());
  const auto unexpected = from.folder()->check_names();
  if (!unexpected.empty() && session.rank() == 0)
    log::warning(
        "{}: {} tensors are no part of the model that config.json describes and are carried over as they are, "
        "the first: '{}'",
        in, unexpected.size(), unexpected.front());
  const auto before = hf::read_kept_scales(in);
  const Json config = Json::parse(from.folder()->config().original);
  const Json quantization = quantization_of(config, before, in);
  const Dtype asked = *parse_choice(dtype);
  const std::set<std::string> foreign(unexpected.begin(), unexpected.end());
  Recast recast(from, asked, powers_of_two(quantization));
  std::vector<hf::Declared> tensors;
  for (const auto& [name, item] : from.items()) {
    if (foreign.count(name))
      tensors.push_back({name, item.dtype, item.shape});
    else
      for (auto& t : recast.become(name)) tensors.push_back(std::move(t));
  }

  FolderJob job;
  job.what = "casting to " + dtype;
  job.out = out;
  job.source = source_of(from, dtype);
  job.files = plan_by_map(tensors, weight_map(from, tensors, before));
  job.index = fs::exists(fs::path(in) / "model.safetensors.index.json");
  job.threads = session.set_threads(threads);
  job.read_back_from_disk = read_back == "disk";
  if (session.rank() == 0 && asked != Dtype::f8e4m3) {
    job.kept = kept_scales(recast, job.files);
    job.kept.quantization = quantization;
    for (const auto& [name, s] : job.kept.scales) {
      const auto scale = from.folder()->tensors().find(name);
      if (scale == from.folder()->tensors().end()) {
        if (before && before->files.count(name)) job.kept.files[name] = before->files.at(name);
        continue;
      }
      const std::string& weight = from.folder()->tensors().at(hf::weight_of_scale(name)).file;
      if (scale->second.file != weight) job.kept.files[name] = fs::path(scale->second.file).filename();
    }
  }
  job.companions = [&](const fs::path& dir) {
    for (const fs::path& file : companions(in)) io::write_file(dir / file.filename(), io::read_file(file));
    io::write_file(dir / "config.json", recast_config(from.folder()->config().original, asked, quantization));
  };
  write_folder(session.world(), job, recast);
  return 0;
}

}  // namespace eddy::convert
