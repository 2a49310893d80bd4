#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_write.h"
#include "hf/fp8.h"
#include "io/file.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

/// What the checkpoint's quantization was, or what DeepSeek publishes.
Json quantization_of(const checkpoint::Checkpoint& from) {
  const auto& meta = from.meta();
  const std::string where = (from.path() / "manifest.json").string();
  if (auto q = hf::quantization_in(meta, where)) return *q;
  if (auto q = hf::quantization_in(meta.at("config"), where)) return *q;
  if (const auto kept = hf::read_kept_scales(from.path() / "hf")) return kept->quantization;
  return hf::published_quantization();
}

/// The files that the model came in, if it came in several and has no other tensors now.
std::optional<std::map<std::string, std::string>> original_files(const checkpoint::Checkpoint& from,
                                                                 const std::vector<hf::Declared>& tensors) {
  for (const fs::path& file : from.attachments()) {
    if (file.filename() != "model.safetensors.index.json") continue;
    const auto json = parse_json<nlohmann::json>(io::read_file(file), file.string());
    auto map = json.at("weight_map").get<std::map<std::string, std::string>>();
    // a BF16 folder's index has no scales: it had kept in which files they stood
    auto scale_files = from.meta().value("scale_files", std::map<std::string, std::string>());
    if (const auto kept = hf::read_kept_scales(from.path() / "hf"))
      scale_files.insert(kept->files.begin(), kept->files.end());
    for (const auto& [name, stood] : scale_files) map.try_emplace(name, stood);
    for (const auto& [name, stood] : map)
      if (stood.empty() || stood.find('/') != std::string::npos)
        fail_input("{}: weight_map sends '{}' to '{}'; a plain file name is needed", file.string(), name, stood);
    for (const auto& t : tensors)
      if (!map.count(t.name)) {
        const auto matrix = map.find(hf::weight_of_scale(t.name));
        if (matrix == map.end()) return {};
        map[t.name] = matrix->second;
      }
    return map;
  }
  return {};
}

std::vector<hf::FilePlan> plan_by_size(const std::vector<hf::Declared>& tensors, std::uint64_t shard_bytes) {
  hf::ShardPlan plan = hf::plan_shards(tensors, shard_bytes);
  std::vector<hf::FilePlan> files;
  for (std::size_t i = 0; i < plan.shards.size(); ++i) {
    hf::sort_for_file(plan.shards[i]);
    files.push_back({plan.file_name(i), std::move(plan.shards[i])});
  }
  return files;
}

std::string model_card(const std::string& dtype) {
  return "---\nlibrary_name: transformers\n---\n\nA model of type DeepSeek-V3 in " + dtype +
         ", exported by Eddy " EDDY_VERSION " (`eddy-convert to-hf`).\n";
}

void write_companions(const checkpoint::Checkpoint& from, const hf::ModelConfig& config, const fs::path& dir,
                      hf::Spelling spelling, Dtype dtype) {
  for (const fs::path& file : from.attachments())
    if (file.filename() != "model.safetensors.index.json" && file.filename() != hf::kScalesFile)
      io::write_file(dir / file.filename(), io::read_file(file));
  const Json quantization = quantization_of(from);
  const bool fp8 = dtype == Dtype::f8e4m3;
  Json json =
      hf::write_config(config, spelling, dtype == Dtype::f32 ? "float32" : "bfloat16", fp8 ? &quantization : nullptr);
  if (spelling == hf::Spelling::deepseek) hf::leave_defaults_out(json, config);
  io::write_file(dir / "config.json", json.dump(2) + "\n");
  if (!fs::exists(dir / "README.md"))
    io::write_file(dir / "README.md", model_card(fp8 ? "FP8" : dtype == Dtype::f32 ? "float32" : "bfloat16"));
  if (fs::exists(dir / "generation_config.json")) return;
  const Json generation = {
      {"_from_model_config", true}, {"bos_token_id", config.bos_token_id}, {"eos_token_id", config.eos_token_id}};
  io::write_file(dir / "generation_config.json", generation.dump(2) + "\n");
}

}  // namespace

int to_hf(comm::Session& session, const Arguments& arguments) {
  std::string in, out, dtype = "keep", shard_size = "5GB", spelling = "deepseek", read_back = "cache";
  bool overwrite = false;
  int threads = 0;
  Options options(
      "eddy-convert to-hf", "--in CKPT --out DIR [options]",
      "Makes a Hugging Face model folder of an Eddy checkpoint: the model's weights, without the optimizer's "
      "state; goes on where it was interrupted.");
  options.add("in", &in, "Eddy checkpoint", {.required = true});
  options.add("out", &out, "folder to write", {.required = true});
  options.add("dtype", &dtype,
              "of the weights: as they are, or converted (fp8: the matrices that DeepSeek quantises, the rest bf16; "
              "e_score_correction_bias stays f32)",
              {.choices = {"keep", "f32", "bf16", "fp8"}});
  options.add("shard-size", &shard_size,
              "largest size of a safetensors file's data, e.g. 5GB; not given, a model that came in several files goes "
              "into the same ones");
  options.add("spelling", &spelling,
              "of config.json: rope_scaling and torch_dtype, or transformers' newer rope_parameters and dtype",
              {.choices = {"deepseek", "transformers"}});
  add_writing_options(options, threads, read_back, overwrite);
  if (!options.parse(arguments)) return 0;
  const std::uint64_t shard_bytes = parse_bytes(shard_size, "--shard-size");
  if (shard_bytes == 0)
    fail_input("--shard-size {}: a file needs at least one byte; write for example 5GB", shard_size);
  check_output(session.world(), in, out, overwrite, Output::folder);
  if (!checkpoint::is_checkpoint(in)) checkpoint::Checkpoint refused(in);  // says what is missing

  const Contents contents(in, Contents::Names::hugging_face);
  const checkpoint::Checkpoint& from = *contents.checkpoint();
  const SavedModel model = saved_model(from);
  Recast recast(contents, parse_choice(dtype), powers_of_two(quantization_of(from)));
  std::vector<hf::Declared> tensors;
  bool fp8 = false;
  for (const auto& t : model.tensors())
    for (auto& made : recast.become(t.name)) {
      fp8 = fp8 || made.dtype == Dtype::f8e4m3;
      tensors.push_back(std::move(made));
    }
  const Dtype main = fp8 ? Dtype::f8e4m3 : recast.dtype_of("model.embed_tokens.weight");

  FolderJob job;
  job.what = "exporting";
  job.out = out;
  job.source = hex64(xxh3("to-hf " + dtype + spelling + io::read_file(fs::path(in) / "manifest.json")));
  const auto original =
      options.given("shard-size") ? std::optional<std::map<std::string, std::string>>() : original_files(from, tensors);
  job.files = original ? plan_by_map(tensors, *original) : plan_by_size(tensors, shard_bytes);
  job.index = original || job.files.size() > 1;
  job.threads = session.set_threads(threads);
  job.read_back_from_disk = read_back == "disk";
  if (session.rank() == 0 && !fp8) {
    job.kept = kept_scales(recast, job.files);
    job.kept.quantization = quantization_of(from);
    if (original)
      for (const auto& [name, s] : job.kept.scales)
        if (const auto it = original->find(name);
            it != original->end() && it->second != original->at(hf::weight_of_scale(name)))
          job.kept.files[name] = it->second;
  }
  job.companions = [&](const fs::path& dir) {
    write_companions(from, model.config, dir,
                     spelling == "deepseek" ? hf::Spelling::deepseek : hf::Spelling::transformers, main);
  };
  write_folder(session.world(), job, recast);
  return 0;
}

}  // namespace eddy::convert
