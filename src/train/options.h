#pragma once
// Configuration of a training run: one plain struct a subject, with defaults and units.
#include <cstdint>
#include <string>

#include "base/options.h"
#include "io/lustre.h"
#include "model/parameters.h"
#include "model/stage.h"
#include "optim/schedule.h"
#include "optim/sharded_adamw.h"
#include "parallel/mesh.h"
#include "train/fault.h"

namespace eddy::train {

struct ModelOptions {
  std::string config;           ///< path of a config.json (or its folder), or a name from configs/model/
  std::string init = "random";  ///< random, or a Hugging Face folder or Eddy checkpoint
  void add_to(Options& options);
};

struct DataOptions {
  std::string train, validation;  ///< shard directories "dir" or "dir:0.7,dir2:0.3"; validation empty: train's
  bool verify = true;             ///< compare the tokens' checksums before training
  void add_to(Options& options);
};

struct ParallelOptions {
  int tp = 1, ep = 1, pp = 1, cp = 1;
  double expert_capacity = 1.5;  ///< rows that a rank's experts take at once, over those of balanced routing; EP > 1
  int world = 0;                 ///< ranks that --check pretends to have; 0: those that run
  void add_to(Options& options);
  /// The layout on `ranks` ranks; throws Error (status 2) with the nearest possible ones.
  parallel::Layout layout(int ranks, const parallel::Divisors& model) const;
};

struct TrainOptions {
  std::int64_t seq_len = 4096;  ///< tokens a row
  int micro_batch = 1;          ///< rows a micro-batch
  int global_batch = 0;         ///< rows a step over all ranks; a run must give it
  std::int64_t steps = 0;       ///< 0: by epochs
  double epochs = 0;            ///< 0: by steps
  std::uint64_t seed = 1;
  std::int64_t validate_every = 0;   ///< steps; 0: at the end only
  std::int64_t validation_rows = 0;  ///< at most, each time; 0: all
  int max_bad_steps = 10;            ///< that many steps skipped in a row are borne; one more ends the run
  std::string recompute = "none";    ///< none, selective, full
  std::string mtp = "auto";          ///< auto, on, off, init
  double mtp_weight = 0.3;           ///< of the multi-token-prediction loss
  double router_bias_rate = 0.001;   ///< of the aux-loss-free balancing; 0 freezes the biases
  double balance_loss = 0;           ///< weight of the sequence-level balance loss
  std::string dtype = "auto";        ///< auto (bf16 on a GPU), bf16, float32: parameters and activations
  void add_to(Options& options);
  /// Micro-batches of one replica a step; throws Error (status 2) with the nearest global batches when it is no whole
  /// number.
  int micro_batches(int dp) const;
};

struct OptimOptions {
  double lr = 1e-4;  ///< peak
  std::string schedule = "cosine";
  std::int64_t warmup_steps = 0;
  double min_ratio = 0.1, decay_fraction = 0.1;
  std::string moments = "float32";  ///< float32, or on a GPU bf16
  optim::AdamwOptions adamw;
  void add_to(Options& options);
  optim::Schedule make_schedule(std::int64_t total_steps) const;
};

struct CheckpointOptions {
  std::int64_t every = 0;       ///< steps; 0: at the end (and when stopped) only
  int keep = 3;                 ///< the newest that stay
  std::int64_t keep_every = 0;  ///< and those whose step is a multiple of it; 0: none
  std::string resume = "auto";  ///< auto, never, or a checkpoint's path
  bool verify = true;           ///< on resume also compare what a load does not read
  bool async = true;            ///< write a copy while training goes on
  int ranks_per_file = 8;       ///< a usual node's: one node writes a file
  int threads = 4;              ///< of a rank, that write
  bool direct = true;           ///< O_DIRECT where the file system can
  std::string staging;          ///< a folder on each node's own disk, where the copy waits; empty: host memory
  int stripe_count = 0;         ///< on Lustre; io::Stripes
  std::string stripe_size;      ///< on Lustre, "4MiB"; empty: the file system's
  bool cast_moments = false;    ///< resume from moments of another type
  /// Is a copy of the state held in host memory?
  bool copies(bool on_gpu) const { return staging.empty() && (on_gpu || (async && every > 0)); }
  io::Stripes stripes() const;  ///< throws Error (status 2) for a size that cannot be
  void add_to(Options& options);
};

struct RunOptions {
  std::string dir;
  std::string device = "auto";  ///< auto, cpu, cuda
  int threads = 0;              ///< OpenMP threads a rank; 0: cores / ranks
  double stop_after = 0;        ///< seconds after which the run saves and stops with status 75; 0: never
  bool deterministic = false;   ///< the same bits each time on GPUs too (a CPU's always are)
  void add_to(Options& options);
};

struct CommOptions {
  std::string backend = "auto";  ///< auto, nccl, mpi: what carries a GPU's data to other ranks
  double timeout_s = 600;        ///< an operation that takes longer ends the job; 0: never
  double file_timeout_s = 0;     ///< while files are loaded or saved; 0: six times timeout_s
  double while_files() const { return file_timeout_s > 0 ? file_timeout_s : 6 * timeout_s; }
  void add_to(Options& options);
};

struct Config {
  ModelOptions model;
  DataOptions data;
  ParallelOptions parallel;
  TrainOptions train;
  OptimOptions optim;
  CheckpointOptions checkpoint;
  RunOptions run;
  CommOptions comm;
  FaultOptions fault;
  bool check = false;    ///< --check
  bool verbose = false;  ///< --verbose: every rank's tensors
  bool json = false;     ///< --json
  void add_to(Options& options);
  /// What can be said without a model or data; throws Error (status 2).
  void validate() const;
};

/// A path as it is, or configs/model/NAME[.json] below the current folder, or below one of the folders above this
/// program. Throws Error (status 2) naming the known configurations.
std::string find_model_config(const std::string& name);

}  // namespace eddy::train
