#include "train/state.h"

#include <cblas.h>

#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "checkpoint/agree.h"
#include "checkpoint/checkpoint.h"
#include "shard/manifest.h"
#include "shard/sampler.h"

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

/// The type of the optimizer's moments in a checkpoint, as optim.moments names it.
std::string moments_of(const checkpoint::Checkpoint& file) {
  for (const auto& t : file.tensors())
    if (t.name.starts_with("optim.m/")) return t.dtype == Dtype::bf16 ? "bf16" : "float32";
  fail_input("{} holds no optimizer's moments", file.path().string());
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
                        std::uint64_t tokenizer_hash, std::uint64_t data_hash, const nlohmann::json& bits) {
  auto model = hf::write_config(choice.config, hf::Spelling::deepseek, "f32");
  hf::leave_defaults_out(model, choice.config);  // so that an export says what the model's own config.json said
  return {{"config", model},
          {"has_mtp", choice.mtp},
          {"mtp_copies", choice.mtp && choice.mtp_copies},
          {"step", progress.step},
          {"tokens", progress.tokens},
          {"skipped_steps", progress.skipped},
          {"updates", updates},
          {"seed", config.train.seed},
          {"tokenizer_hash", hex64(tokenizer_hash)},
          {"data_hash", hex64(data_hash)},
          {"moments", config.optim.moments},
          {"sampler", data_order(config)},
          {"layout", bits.at("layout")},
          {"bits", bits}};
}

std::uint64_t data_hash(const Config& config) {
  Xxh3Stream hash;
  for (const auto& source : shard::parse_sources(config.data.train))
    for (const auto& entry : shard::read_manifest(source.dir).shards) hash.update(&entry.xxh3, sizeof entry.xxh3);
  return hash.digest();
}

Progress resume(const std::filesystem::path& path, const Config& config, std::uint64_t tokenizer_hash,
                std::uint64_t data_hash, const nlohmann::json& bits, Engine& engine) {
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
  const std::string stored = moments_of(file);
  if (stored != config.optim.moments && !config.checkpoint.cast_moments)
    fail_input(
        "{} holds the optimizer's moments in {}, optim.moments = {}: give optim.moments = {}, or "
        "checkpoint.cast_moments = on to go on with the other type",
        path.string(), stored, config.optim.moments, stored);
  auto& world = *engine.groups().world;
  if (world.rank() == 0) {
    if (meta.value("data_hash", hex64(data_hash)) != hex64(data_hash))
      log::warning("resuming with other shards than those before (their hash was {}, is {})",
                   meta.value("data_hash", ""), hex64(data_hash));
    warn_of_changes(meta.value("sampler", nlohmann::json()), data_order(config),
                    "the data will come in another order than it would have");
    warn_of_changes(meta.value("bits", nlohmann::json()), bits, "results agree to rounding, not bit for bit");
  }
  try {
    checkpoint::agree(world, [&] {
      if (config.checkpoint.verify) file.verify_rest(world.rank(), world.size());
      engine.optimizer().load([&](const tensor::Slice& slice) { file.read(slice); });
    });
  } catch (const Error& e) {
    throw Unloadable(e);
  }
  engine.optimizer().set_updates(meta.at("updates"));
  return {meta.at("step"), meta.value("tokens", std::int64_t{0}), meta.value("skipped_steps", std::int64_t{0})};
}

}  // namespace eddy::train
