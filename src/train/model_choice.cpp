#include "train/model_choice.h"

#include <set>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "hf/folder.h"
#include "model/init.h"

namespace eddy::train {
namespace fs = std::filesystem;
namespace {

/// Copies of embedding and head in the MTP layer, as the published weights have them.
bool has_mtp_copies(const fs::path& path, const hf::ModelConfig& config) {
  if (checkpoint::is_checkpoint(path)) return checkpoint::Checkpoint(path).meta().value("mtp_copies", false);
  return hf::Folder(path).tensors().contains(fmt::format("model.layers.{}.embed_tokens.weight", config.num_layers));
}

void settle_mtp(ModelChoice& choice, const std::string& asked) {
  const bool announced = choice.config.num_mtp_layers > 0;
  const bool there = choice.source ? choice.source->has_mtp() : announced;
  if (asked == "on" && !there)
    fail_input(
        "train.mtp = on, but {} no multi-token-prediction layer; train.mtp = init trains one from random first "
        "weights, "
        "train.mtp = off does without",
        choice.source ? "the weights have" : choice.name + " announces");
  choice.mtp = asked == "init" || (there && asked != "off");
  choice.init_mtp = choice.mtp && !there && choice.source.has_value();
  if (choice.mtp) choice.config.num_mtp_layers = 1;
  if (asked == "auto" && announced && !there)
    log::info("{} announces a multi-token-prediction layer that the weights lack: going on without it", choice.name);
  if (asked == "off" && there && choice.source)
    log::info(
        "train.mtp = off: the multi-token-prediction layer of the weights is left out, also of this run's checkpoints");
}

}  // namespace

std::string differences(const hf::ModelConfig& from, const hf::ModelConfig& to) {
  static const std::set<std::string> kNoMatter{
      "architectures",        "auto_map",         "dtype",         "torch_dtype",
      "transformers_version", "use_cache",        "_name_or_path", "num_nextn_predict_layers",
      "quantization_config",  "initializer_range"};
  const auto a = hf::write_config(from, hf::Spelling::deepseek, "f32"),
             b = hf::write_config(to, hf::Spelling::deepseek, "f32");
  std::set<std::string> keys;
  for (const auto& json : {a, b})
    for (const auto& [key, value] : json.items()) keys.insert(key);
  std::string out;
  for (const auto& key : keys) {
    const auto x = a.contains(key) ? a.at(key) : nullptr, y = b.contains(key) ? b.at(key) : nullptr;
    if (x != y && !kNoMatter.contains(key))
      out += fmt::format("{}{} ({} → {})", out.empty() ? "" : ", ", key, x.dump(), y.dump());
  }
  return out;
}

ModelChoice choose_model(const ModelOptions& options, const std::string& mtp) {
  ModelChoice choice;
  if (options.init != "random") {
    choice.source.emplace(options.init);
    choice.config = choice.source->config();
    choice.name = options.init;
    choice.mtp_copies = choice.source->has_mtp() && has_mtp_copies(options.init, choice.config);
  }
  if (!options.config.empty()) {
    const std::string file = find_model_config(options.config);
    const hf::ModelConfig asked = hf::read_config(file);
    if (choice.source)
      if (const auto what = differences(choice.config, asked); !what.empty())
        log::warning("model.config = {} differs from the configuration of {} in: {}; model.config counts", file,
                     options.init, what);
    choice.config = asked;
    choice.name = fs::path(file).filename().string();
  }
  settle_mtp(choice, mtp);
  return choice;
}

ModelChoice choose_resumed(const ModelOptions& options, const std::string& mtp, const fs::path& checkpoint) {
  ModelChoice choice;
  choice.source.emplace(checkpoint);
  choice.config = choice.source->config();
  choice.name = checkpoint.string();
  choice.mtp_copies = choice.source->has_mtp() && has_mtp_copies(checkpoint, choice.config);
  if (!options.config.empty())
    if (const auto what = differences(choice.config, hf::read_config(find_model_config(options.config))); !what.empty())
      fail_input(
          "the run goes on from {}, whose model differs from model.config = {} in: {}; give another run.dir for "
          "another model",
          checkpoint.string(), options.config, what);
  const bool there = choice.source->has_mtp();
  if ((mtp == "off" && there) || ((mtp == "on" || mtp == "init") && !there))
    fail_input(
        "train.mtp = {}, but {} was trained {} multi-token prediction; a run goes on as it began (train.mtp = auto). "
        "To change "
        "it, begin another run with model.init = {}",
        mtp, checkpoint.string(), there ? "with" : "without", checkpoint.string());
  settle_mtp(choice, mtp);
  return choice;
}

void load_weights(const ModelChoice& choice, Engine& engine, std::uint64_t seed) {
  const std::string mtp = fmt::format("model.layers.{}.", choice.config.num_layers);
  engine.fill([&](const parallel::Parameter& p) {
    if (!choice.source || (choice.init_mtp && p.info.name.starts_with(mtp)))
      model::initialise(choice.config, p, seed);
    else
      choice.source->fill(p);
  });
}

}  // namespace eddy::train
