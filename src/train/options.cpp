#include "train/options.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "device/stream.h"

namespace eddy::train {
namespace fs = std::filesystem;

void ModelOptions::add_to(Options& o) {
  o.add("model.config", &config,
        "the model: path of a Hugging Face config.json, or a name from configs/model/; empty: model.init's");
  o.add("model.init", &init, "first weights: random, or the path of a Hugging Face folder or an Eddy checkpoint");
}

void DataOptions::add_to(Options& o) {
  o.add("data.train", &train, "shard directories, DIR,DIR or with weights DIR:0.7,DIR:0.3");
  o.add("data.validation", &validation, "shard directories whose validation split is used; empty: those of data.train");
  o.add("data.verify", &verify, "compare the checksums of the shards before training");
}

void ParallelOptions::add_to(Options& o) {
  o.add("parallel.tp", &tp, "tensor parallelism: ranks that share each attention and dense layer", {.min = 1});
  o.add("parallel.ep", &ep, "expert parallelism: ranks that share the experts of each layer", {.min = 1});
  o.add("parallel.pp", &pp, "pipeline stages", {.min = 1});
  o.add("parallel.cp", &cp, "context parallelism (only 1 for now); data parallelism is what is left of the ranks",
        {.min = 1});
  o.add("parallel.expert_capacity", &expert_capacity,
        "with parallel.ep > 1: rows that a rank's experts take at once, and memory is planned for, over those that "
        "balanced routing brings; the rest follows in further waves",
        {.min = 0.01});
  o.add("parallel.world", &world, "with --check: pretend to be that many ranks (0: as many as run)",
        {.min = 0, .max = 1 << 24});
}

parallel::Layout ParallelOptions::layout(int ranks, const parallel::Divisors& model) const {
  const parallel::Layout layout{ranks, tp, ep, pp, cp};
  parallel::validate(layout, model);
  return layout;
}

void TrainOptions::add_to(Options& o) {
  o.add("train.seq_len", &seq_len, "tokens in a row of packed documents", {.min = 2});
  o.add("train.micro_batch", &micro_batch, "rows that one replica computes at once", {.min = 1});
  o.add("train.global_batch", &global_batch,
        "rows in a step, over all ranks (0: with --check, one micro-batch a stage)", {.min = 0, .max = 1 << 20});
  o.add("train.steps", &steps, "steps of the run (0: given by train.epochs)", {.min = 0});
  o.add("train.epochs", &epochs, "passes over the training data, where train.steps is 0", {.min = 0, .max = 1e6});
  o.add("train.seed", &seed, "seed of first weights and of the data's order");
  o.add("train.validate_every", &validate_every, "steps between validations (0: only after the last step)", {.min = 0});
  o.add("train.validation_rows", &validation_rows, "rows of a validation, at most (0: all)", {.min = 0});
  o.add("train.max_bad_steps", &max_bad_steps,
        "steps in a row that may be skipped because the loss or the gradient is not finite", {.min = 0});
  o.add("train.recompute", &recompute, "activations computed again in the backward pass",
        {.choices = {"none", "selective", "full"}});
  o.add("train.mtp", &mtp,
        "multi-token prediction: auto (where the weights have it), on, off, or init (random first weights where they "
        "lack it)",
        {.choices = {"auto", "on", "off", "init"}});
  o.add("train.mtp_weight", &mtp_weight, "weight of the multi-token-prediction loss", {.min = 0});
  o.add("train.router_bias_rate", &router_bias_rate, "step of the routers' balancing bias (0: frozen)", {.min = 0});
  o.add("train.balance_loss", &balance_loss, "weight of the sequence-level balance loss (0: off)", {.min = 0});
  o.add("train.dtype", &dtype,
        "parameters and activations in forward and backward: auto (bf16 on a GPU, float32 on a CPU), bf16 with float32 "
        "masters (GPU only), or float32",
        {.choices = {"auto", "bf16", "float32"}});
}

int TrainOptions::micro_batches(int dp) const {
  const std::int64_t unit = static_cast<std::int64_t>(dp) * micro_batch;
  if (global_batch % unit == 0) return static_cast<int>(global_batch / unit);
  const std::int64_t below = global_batch / unit * unit;
  fail_input("train.global_batch = {} is no multiple of {} replicas × train.micro_batch = {}; the nearest that are: {}",
             global_batch, dp, micro_batch,
             below > 0 ? fmt::format("{} and {}", below, below + unit) : fmt::format("{}", unit));
}

void OptimOptions::add_to(Options& o) {
  o.add("optim.lr", &lr, "peak learning rate", {.min = 0});
  o.add("optim.schedule", &schedule, "how the rate falls after warm-up",
        {.choices = {"constant", "linear", "cosine", "wsd"}});
  o.add("optim.warmup_steps", &warmup_steps, "steps in which the rate rises to its peak", {.min = 0});
  o.add("optim.min_ratio", &min_ratio, "lowest rate of the schedule, as a part of the peak", {.min = 0, .max = 1});
  o.add("optim.decay_fraction", &decay_fraction, "wsd: part of the run, at its end, in which the rate falls",
        {.min = 0, .max = 1});
  o.add("optim.beta1", &adamw.beta1, "AdamW's decay of the first moment", {.min = 0, .max = 0.999999999});
  o.add("optim.beta2", &adamw.beta2, "AdamW's decay of the second moment", {.min = 0, .max = 0.999999999});
  o.add("optim.eps", &adamw.eps, "AdamW's epsilon", {.min = 0});
  o.add("optim.weight_decay", &adamw.weight_decay, "decoupled weight decay of the matrices", {.min = 0});
  o.add("optim.moments", &moments, "AdamW's moments: float32, or on a GPU bf16", {.choices = {"float32", "bf16"}});
  o.add("optim.clip_norm", &adamw.clip_norm, "largest norm of the whole gradient (0: no clipping)", {.min = 0});
}

optim::Schedule OptimOptions::make_schedule(std::int64_t total_steps) const {
  return {optim::parse_schedule(schedule), lr, min_ratio, warmup_steps, total_steps, decay_fraction};
}

void CheckpointOptions::add_to(Options& o) {
  o.add("checkpoint.every", &every, "steps between checkpoints (0: only at the end, and when stopped)", {.min = 0});
  o.add("checkpoint.keep", &keep, "checkpoints that are kept, the newest", {.min = 1});
  o.add("checkpoint.keep_every", &keep_every, "checkpoints whose step is a multiple of this stay, too (0: none)",
        {.min = 0});
  o.add("checkpoint.resume", &resume,
        "auto (from the run's newest checkpoint that is whole, if there is any), never, or a checkpoint's path");
  o.add("checkpoint.verify", &verify,
        "when resuming also compare what loading does not (HDF5's records, files carried along); what is loaded always "
        "is compared with its checksums");
  o.add("checkpoint.async", &async,
        "write a copy of the state while training goes on; needs host memory for it (off: training waits; a GPU's "
        "state is copied either way)");
  o.add("checkpoint.ranks_per_file", &ranks_per_file,
        "ranks that share a data file: the ranks of a node, or more where a file system is slow at many files",
        {.min = 1});
  o.add("checkpoint.threads", &threads, "threads of a rank that write a checkpoint", {.min = 1, .max = 256});
  o.add("checkpoint.direct", &direct, "write past the page cache (O_DIRECT) where the file system can");
  o.add(
      "checkpoint.staging", &staging,
      "a folder on each node's own disk: the copy that is written while training goes on waits there, and not in host "
      "memory; made where it is missing (empty: host memory)");
  o.add("checkpoint.stripe_count", &stripe_count,
        "on Lustre the targets (OSTs) that a checkpoint's file is spread over (0: as the folder has it, -1: all)",
        {.min = -1, .max = 2000});
  o.add(
      "checkpoint.stripe_size", &stripe_size,
      "on Lustre the bytes on one target before the next, a multiple of 64KiB, for example 4MiB (empty: as the folder "
      "has it)");
  o.add("checkpoint.cast_moments", &cast_moments,
        "resume from a checkpoint whose optimizer moments are of another type than optim.moments");
}

io::Stripes CheckpointOptions::stripes() const {
  io::Stripes s{stripe_count, stripe_size.empty() ? 0 : parse_bytes(stripe_size, "checkpoint.stripe_size")};
  constexpr std::uint64_t kUnit = 64 << 10;
  if (s.size % kUnit != 0 || s.size >= std::uint64_t{4} << 30)
    fail_input("checkpoint.stripe_size = {}: Lustre wants a multiple of 64KiB below 4GiB", stripe_size);
  return s;
}

void RunOptions::add_to(Options& o) {
  o.add("run.dir", &dir, "the run's folder: config.ini, metrics.jsonl, checkpoints/, log/");
  o.add("run.device", &device, "where to compute", {.choices = {"auto", "cpu", "cuda"}});
  o.add("run.threads", &threads, "threads of a rank (0: OMP_NUM_THREADS, or cores / ranks)", {.min = 0, .max = 4096});
  o.add("run.deterministic", &deterministic,
        "the same bits in every run of a layout, on GPUs too (slower there; a CPU's always are the same)");
  o.add("run.stop_after", &stop_after, "seconds after which the run saves and ends with status 75 (0: never)",
        {.min = 0});
}

void CommOptions::add_to(Options& o) {
  o.add("comm.timeout_s", &timeout_s, "seconds after which an operation that does not return ends the job (0: never)",
        {.min = 0});
  o.add(
      "comm.backend", &backend,
      "what carries a GPU's data to other ranks: nccl (a GPU a rank), mpi by way of the host's memory (ranks may share "
      "a GPU), or auto: nccl where each rank has a GPU of its own",
      {.choices = {"auto", "nccl", "mpi"}});
  o.add("comm.file_timeout_s", &file_timeout_s,
        "the same while ranks wait for one that loads or saves files (0: six times comm.timeout_s)", {.min = 0});
}

void Config::add_to(Options& o) {
  model.add_to(o);
  data.add_to(o);
  parallel.add_to(o);
  train.add_to(o);
  optim.add_to(o);
  checkpoint.add_to(o);
  run.add_to(o);
  comm.add_to(o);
  fault.add_to(o);
  o.add("check", &check, "print files, layout, every rank's tensors and memory, and end; no weights are read",
        {.command_line_only = true});
  o.add("verbose", &verbose, "with --check: each rank's tensors one by one, for any number of ranks",
        {.command_line_only = true});
  o.add("json", &json, "with --check: print JSON", {.command_line_only = true});
}

void Config::validate() const {
  if (run.device == "cuda" && !device::kCuda && !check)
    fail_input("run.device = cuda: this build has no CUDA; use run.device = cpu or build with cmake --preset cuda");
  if (model.config.empty() && model.init == "random")
    fail_input("model.config is empty: give a config.json or a name from configs/model/, or weights by model.init");
  if (check) return;
  if (parallel.world != 0)
    fail_input("parallel.world = {} goes with --check only; a run has the ranks that mpirun or srun started",
               parallel.world);
  if (data.train.empty())
    fail_input("data.train is empty: give the shard directories to train on (eddy-shard makes them)");
  if (run.dir.empty()) fail_input("run.dir is empty: give the folder of this run");
  if (train.global_batch == 0) fail_input("train.global_batch is 0: give the rows of a step, over all ranks");
  if ((train.steps > 0) == (train.epochs > 0))
    fail_input("give either train.steps or train.epochs, the length of the run (they are {} and {})", train.steps,
               train.epochs);
  (void)checkpoint.stripes();
  if (!checkpoint.staging.empty() && !checkpoint.async)
    fail_input("checkpoint.staging is where copies wait, and checkpoint.async = off makes none: leave one of them out");
  if (!std::isfinite(optim.lr)) fail_input("optim.lr = {} is no learning rate", optim.lr);
}

std::string find_model_config(const std::string& name) {
  if (fs::exists(name)) return name;
  std::vector<fs::path> roots{fs::current_path()};
  std::error_code ignored;
  fs::path above = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (int up = 0; up < 4 && above.has_relative_path(); ++up, above = above.parent_path()) {
    roots.push_back(above);
    roots.push_back(above / "share" / "eddy");
  }
  std::vector<std::string> known;
  for (const auto& root : roots) {
    const fs::path folder = root / "configs" / "model";
    for (const auto& file : {folder / name, folder / (name + ".json")})
      if (fs::is_regular_file(file)) return file.string();
    if (known.empty() && fs::is_directory(folder))
      for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".json") known.push_back(entry.path().stem().string());
  }
  std::sort(known.begin(), known.end());
  fail_input("model.config = {}: no such file, nor a known model{}", name,
             known.empty() ? std::string() : fmt::format(" (known: {})", fmt::join(known, ", ")));
}

}  // namespace eddy::train
