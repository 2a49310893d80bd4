#include "train/state.h"

#include <cblas.h>

#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "train/agree.h"

namespace eddy::train {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

/// What must be the same for the data to go on in the same order.
nlohmann::json data_order(const Config& config) {
  return {{"seed", config.train.seed},
          {"global_batch", config.train.global_batch},
          {"seq_len", config.train.seq_len},
          {"train", config.data.train}};
}

void warn_of_changes(const nlohmann::json& before, const nlohmann::json& now, const std::string& consequence) {
  std::string what;
  for (const auto& [key, value] : now.items())
    if (const auto old = before.is_object() ? before.value(key, nlohmann::json()) : nlohmann::json(); old != value)
      what += fmt::format("{}{} {} → {}", what.empty() ? "" : ", ", key, old.dump(), value.dump());
  if (!what.empty()) log::warning("resuming with {}: {}", what, consequence);
}

}  // namespace

nlohmann::json fingerprint(const parallel::Layout& layout, int threads, const std::string& device, Dtype dtype) {
  return {{"layout", layout.text()},
          {"threads", threads},
          {"device", device.empty() ? cpu_model() : device},
          {"eddy", EDDY_VERSION},
          {"blas", openblas_get_config()},
          {"core", openblas_get_corename()},
          {"compiler", __VERSION__},
          {"dtype", name_of(dtype)}};
}

nlohmann::json describe(const ModelChoice& choice, const Config& config, const Progress& progress, std::int64_t updates,
                        std::uint64_t tokenizer_hash, const nlohmann::json& bits) {
  return {{"config", hf::write_config(choice.config, hf::Spelling::deepseek, "f32")},
          {"has_mtp", choice.mtp},
          {"mtp_copies", choice.mtp && choice.mtp_copies},
          {"step", progress.step},
          {"tokens", progress.tokens},
          {"skipped_steps", progress.skipped},
          {"updates", updates},
          {"seed", config.train.seed},
          {"tokenizer_hash", hex64(tokenizer_hash)},
          {"sampler", data_order(config)},
          {"layout", bits.at("layout")},
          {"bits", bits}};
}

Progress resume(const std::filesystem::path& path, const Config& config, std::uint64_t tokenizer_hash,
                const nlohmann::json& bits, Engine& engine) {
  const checkpoint::Checkpoint file(path);
  const auto& meta = file.meta();
  if (!meta.contains("step") || !meta.contains("updates"))
    fail_input("{} holds weights but no state of a run: begin one from it with model.init = {}", path.string(),
               path.string());
  if (const auto hash = meta.value("tokenizer_hash", ""); hash != hex64(tokenizer_hash))
    fail_input(
        "{} was trained on shards of another tokenizer (hash {}) than data.train's ({}): give the shards it was "
        "trained with",
        path.string(), hash, hex64(tokenizer_hash));
  if (config.checkpoint.verify) on_rank_0(*engine.groups().world, [&] { file.verify(); });
  if (engine.groups().world->rank() == 0) {
    warn_of_changes(meta.value("sampler", nlohmann::json()), data_order(config),
                    "the data will come in another order than it would have");
    warn_of_changes(meta.value("bits", nlohmann::json()), bits, "results agree to rounding, not bit for bit");
  }
  engine.optimizer().load([&](const tensor::Slice& slice) { file.read(slice); });
  engine.optimizer().set_updates(meta.at("updates"));
  return {meta.at("step"), meta.value("tokens", std::int64_t{0}), meta.value("skipped_steps", std::int64_t{0})};
}

}  // namespace eddy::train
