#include "train/trainer.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "checkpoint/agree.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/source_scales.h"
#include "io/file.h"
#include "io/run_lock.h"
#include "shard/corpus.h"
#include "shard/manifest.h"
#include "train/agree.h"
#include "train/loop.h"
#include "train/memory.h"

namespace eddy::train {
namespace fs = std::filesystem;
namespace {

/// "20261231-235959", the same on every rank: names what this start of a run sets aside.
std::string start_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  return text;
}

void check_length(const Config& config, const hf::ModelConfig& model) {
  if (config.train.seq_len > model.max_position_embeddings)
    fail_input(
        "train.seq_len = {} is longer than the model's {} positions (max_position_embeddings); a shorter one fits",
        config.train.seq_len, model.max_position_embeddings);
}

shard::Sampler open_split(const comm::Session& session, const Config& config, const hf::ModelConfig& model,
                          const std::string& sources, shard::Split split) {
  shard::SamplerConfig s;
  s.seq_len = config.train.seq_len;
  s.seed = config.train.seed;
  s.global_batch = config.train.global_batch;
  s.vocab_size = static_cast<std::uint64_t>(model.vocab_size);
  s.verify = config.data.verify;
  s.verify_rank = session.rank();
  s.verify_ranks = session.size();
  return {shard::parse_sources(sources), split, s};
}

/// The validation split: data.validation's, or that of data.train where it has one.
std::optional<shard::Sampler> open_validation(const comm::Session& session, const Config& config,
                                              const hf::ModelConfig& model) {
  const auto split = shard::Split::validation;
  if (!config.data.validation.empty()) return open_split(session, config, model, config.data.validation, split);
  for (const auto& source : shard::parse_sources(config.data.train)) {
    const auto counts = shard::counts_by_split(shard::read_manifest(source.dir).shards);
    if (counts[static_cast<std::size_t>(split)].documents > 0) continue;
    if (config.train.validate_every > 0)
      fail_input("train.validate_every = {}, but {} has no validation split; give data.validation",
                 config.train.validate_every, source.dir.string());
    log::info("{} has no validation split: going on without validation", source.dir.string());
    return {};
  }
  return open_split(session, config, model, config.data.train, split);
}

/// The weights' own tokenizer must be the shards'.
void check_tokenizer(const Config& config, std::uint64_t shards_hash) {
  if (config.model.init == "random") return;
  if (checkpoint::is_checkpoint(config.model.init)) {
    const auto hash = checkpoint::Checkpoint(config.model.init).meta().value("tokenizer_hash", "");
    if (!hash.empty() && hash != hex64(shards_hash))
      fail_input(
          "{} was trained on shards of another tokenizer (hash {}) than data.train's ({}): tokenize the documents with "
          "its tokenizer",
          config.model.init, hash, hex64(shards_hash));
    return;
  }
  const fs::path file = fs::path(config.model.init) / "tokenizer.json";
  if (fs::exists(file))
    shard::check_tokenizer(shards_hash, config.data.train, xxh3(io::read_file(file)), file.string());
}

/// What goes into each checkpoint so that it can be used alone: the shards' tokenizer, and what the first weights came
/// with.
std::vector<fs::path> attachments(const Config& config, const RunDir& dir) {
  std::vector<fs::path> found;
  if (fs::exists(dir.scales())) found.push_back(dir.scales());
  const fs::path tokenizer = shard::parse_sources(config.data.train).front().dir / "tokenizer.json";
  const bool has_tokenizer = fs::exists(tokenizer);
  if (has_tokenizer) found.push_back(tokenizer);
  if (config.model.init == "random") return found;
  const checkpoint::ModelSource source(config.model.init);
  if (!has_tokenizer && !source.tokenizer().empty()) found.push_back(source.tokenizer());
  for (const char* name : {"tokenizer_config.json", "generation_config.json", "model.safetensors.index.json"})
    for (const fs::path& folder : {fs::path(config.model.init), fs::path(config.model.init) / "hf"})
      if (fs::exists(folder / name)) found.push_back(folder / name);
  return found;
}

/// Rank 0: keeps the FP8 scales of the model that the run begins or goes on with.
void keep_scales(const RunDir& dir, const std::string& model) {
  const auto kept = model == "random" ? std::nullopt : checkpoint::scales_of(model);
  if (kept)
    hf::write_kept_scales(dir.root, *kept);
  else
    fs::remove(dir.scales());
}

/// Rank 0's choice, on every rank.
RunDir::Resume share(comm::Communicator& world, const std::function<RunDir::Resume()>& choose) {
  RunDir::Resume choice;
  on_rank_0(world, [&] { choice = choose(); });
  std::string path = choice.from ? choice.from->string() : "";
  checkpoint::broadcast_bytes(world, path, 0);
  if (!path.empty()) choice.from = path;
  return choice;
}

/// Rank 0: says that a checkpoint is damaged, and takes it out of the way of those that will come.
void pass_over(const fs::path& damaged, const std::string& what, const fs::path& instead) {
  const fs::path aside = checkpoint::set_aside(damaged);
  log::error("checkpoint {} is damaged: {}", damaged.string(), what);
  log::error("it is now {}; going on from {}", aside.filename().string(), instead.string());
}

/// Loads `from`, or with checkpoint.resume = auto, where that is damaged, the newest before it that is whole, which
/// then is `from`.
Progress resume_from(std::optional<fs::path>& from, const RunDir& dir, const Config& config,
                     const std::function<Progress(const fs::path&)>& load, comm::Communicator& world) {
  for (;;) try {
      return load(*from);
    } catch (const Unloadable& e) {
      const fs::path damaged = *from;
      const auto older = share(world, [&] {
        return RunDir::Resume{config.checkpoint.resume == "auto" ? dir.before(damaged) : std::nullopt, {}};
      });
      if (!older.from) throw;
      on_rank_0(world, [&] { pass_over(damaged, e.what(), *older.from); });
      from = older.from;
    }
}

std::int64_t steps_of(const Config& config, const shard::Sampler& sampler) {
  if (config.train.steps > 0) return config.train.steps;
  return static_cast<std::int64_t>(
      std::ceil(config.train.epochs * static_cast<double>(sampler.rows_per_epoch()) / config.train.global_batch));
}

/// This rank's node must have the folder of checkpoint.staging, or be able to make it.
void make_staging(const comm::Session& session, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || ::access(folder.c_str(), W_OK | X_OK) != 0)
    fail_input("checkpoint.staging = {}: cannot be written to on {}: {}; give a folder on each node's own disk",
               folder.string(), session.host(), error ? error.message() : std::strerror(errno));
}

/// A run that has gone beyond its end would leave a state that nobody asked for: refused before it is loaded.
void check_steps(const fs::path& from, std::int64_t steps, const TrainOptions& given) {
  const auto reached = checkpoint::Checkpoint(from).meta().value("step", std::int64_t{0});
  if (reached > steps)
    fail_input("{}, but the run has reached step {} ({}): give more to go on, or another run.dir to begin again",
               given.steps > 0 ? fmt::format("train.steps = {}", steps)
                               : fmt::format("train.epochs = {} are {} steps", given.epochs, steps),
               reached, from.string());
}

void announce(const ModelChoice& choice, const Engine& engine, const Config& config, const shard::Sampler& data,
              std::int64_t steps) {
  std::int64_t parameters = 0;
  for (const auto& info : model::all_parameters(choice.config, choice.mtp)) parameters += info.global_numel();
  log::info("model {}: {} parameters{}, on {}", choice.name, with_commas(parameters),
            choice.mtp ? " with multi-token prediction" : "", engine.groups().layout.text());
  log::info("data {}: {} rows of {} tokens an epoch; {} steps of {} rows are {:.3g} epochs", config.data.train,
            data.rows_per_epoch(), config.train.seq_len, steps, config.train.global_batch,
            data.epoch(static_cast<std::uint64_t>(steps)));
}

}  // namespace

int train(comm::Session& session, const Config& given, const std::string& config_ini) {
  auto& world = session.world();
  Device device = choose_device(session, given.run.device);
  Config config = given;
  settle(device, config);
  const int threads = session.set_threads(config.run.threads);
  const StopRequest stop(config.run.stop_after);
  const RunDir dir{config.run.dir};

  config.fault.validate(world.size());
  // Everything that can be refused, before memory is taken and before anything is written.
  const RunDir::Resume choice_of_start = share(world, [&] { return dir.choose_resume(config.checkpoint.resume); });
  auto from = choice_of_start.from;
  const ModelChoice choice =
      from ? choose_resumed(config.model, config.train.mtp, *from) : choose_model(config.model, config.train.mtp);
  const parallel::Layout layout = config.parallel.layout(world.size(), model::divisors(choice.config));
  BatchShape shape;
  shape.seq_len = config.train.seq_len;
  shape.micro_batch = config.train.micro_batch;
  shape.micro_batches = config.train.micro_batches(layout.dp());
  shape.replica = parallel::coordinates(layout, world.rank()).dp;
  shape.vocab_size = choice.config.vocab_size;
  shape.max_positions = choice.config.max_position_embeddings;
  shape.multiple_of = layout.tp;
  check_length(config, choice.config);
  const shard::Sampler data = open_split(session, config, choice.config, config.data.train, shard::Split::train);
  const auto validation_data = open_validation(session, config, choice.config);
  check_tokenizer(config, data.tokenizer_hash());
  const std::int64_t steps = steps_of(config, data);
  if (from) on_rank_0(world, [&] { check_steps(*from, steps, config.train); });
  if (!config.checkpoint.staging.empty())
    checkpoint::agree(world, [&] { make_staging(session, config.checkpoint.staging); });
  MemoryPlan memory(choice.config, layout, engine_options(config, choice.mtp), shape.micro_batch, shape.micro_batches);
  require_memory(session, device, memory, config.checkpoint.copies(device.on_gpu()));

  std::optional<io::RunLock> lock;
  on_rank_0(world, [&] {
    dir.create();
    lock.emplace(dir.lock(), this_process());
    if (dir.choose_resume(config.checkpoint.resume).from != from)
      fail_run("{}: checkpoints came or went while this run began; start it again", config.run.dir);
    for (const auto& [path, what] : choice_of_start.damaged) pass_over(path, what, *from);
  });

  open(device);
  Engine engine(world, choice.config, layout, engine_options(config, choice.mtp), device.stream);
  const nlohmann::json bits = fingerprint(layout, threads, device.name, engine.store().dtype());
  const std::uint64_t hash_of_data = data_hash(config);
  Progress progress;
  if (from)
    progress = resume_from(
        from, dir, config,
        [&](const fs::path& path) { return resume(path, config, data.tokenizer_hash(), hash_of_data, bits, engine); },
        world);
  else
    load_weights(choice, engine, config.train.seed);
  session.set_timeout(config.comm.while_files());
  on_rank_0(world, [&] { keep_scales(dir, from ? from->string() : config.model.init); });
  session.set_timeout(config.comm.timeout_s);
  on_rank_0(world, [&] {
    dir.begin(progress.step, config_ini, start_time());
    log::also_to((dir.log() / "train.log").string());
    if (device.on_gpu()) log::info("computing on {} in {}", device.name, config.train.dtype);
    announce(choice, engine, config, data, steps);
    if (from) log::info("resuming from {} after step {} of {}", from->string(), progress.step, steps);
    if (progress.step == steps) log::info("all {} steps are done: there is nothing to do", steps);
  });

  Batches batches(shape, [&data](std::int64_t step, int index, shard::PackedRow& out) {
    data.row(static_cast<std::uint64_t>(step), index, out);
  });
  std::optional<Validation> validation;
  if (validation_data) {
    auto rows = static_cast<std::int64_t>(validation_data->rows());
    if (config.train.validation_rows > 0) rows = std::min(rows, config.train.validation_rows);
    validation.emplace(shape, rows, [&](std::int64_t i, shard::PackedRow& out) {
      validation_data->row_at(static_cast<std::uint64_t>(i), out);
    });
  }
  Loop loop({session, config, choice, dir, engine, batches, validation ? &*validation : nullptr, stop,
             data.tokenizer_hash(), hash_of_data, attachments(config, dir), bits, steps},
            progress);
  const Exit exit = loop.run();
  world.barrier();
  if (exit == Exit::done && progress.step < steps)
    log::info("done: {} steps, checkpoints in {}", steps, dir.checkpoints().string());
  return static_cast<int>(exit);
}

}  // namespace eddy::train
