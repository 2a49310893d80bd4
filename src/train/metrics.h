#pragma once
// metrics.jsonl: one object a step. A key is never renamed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace eddy::train {

struct StepMetrics {
  std::int64_t step = 0;           ///< from 1
  std::int64_t tokens = 0;         ///< positions of rows trained since the run's beginning, padding included
  double loss = 0;                 ///< mean over the masked tokens of the global batch
  std::optional<double> mtp_loss;  ///< the same of multi-token prediction, unweighted
  double lr = 0;
  double grad_norm = 0;    ///< before clipping
  double step_time_s = 0;  ///< validation and checkpoints left out
  double data_wait_s = 0;  ///< of these, waiting for rows (the slowest rank's)
  double tokens_per_s = 0;
  double tflops_per_rank = 0;        ///< 3 × the forward pass's FLOPs by docs/numerics.md; recomputation not counted
  std::uint64_t mem_peak_bytes = 0;  ///< parameters, gradients, moments, saved activations; the fullest rank's
  std::uint64_t host_rss_bytes = 0;  ///< resident memory of the largest rank
  std::optional<double> gpu_util, power_w;                 ///< where there is a GPU
  std::optional<double> expert_load_max, expert_load_min;  ///< busiest and idlest expert of any layer, by the mean load
  /// The most waves that a layer's experts needed in a micro-batch of the step: 1 where all rows came at once
  /// (parallel.expert_capacity).
  std::optional<std::int64_t> expert_waves;
  std::int64_t skipped_steps = 0;           ///< so far: steps whose loss or gradient was not finite
  std::optional<double> val_loss, val_ppl;  ///< on validation steps
  std::optional<double> ckpt_stall_s;       ///< training stood still for checkpoints since the last line: copies, waits
  std::optional<double> ckpt_write_s;  ///< of a checkpoint finished since the last line: until the slowest rank's data
                                       ///< were on the disk; of a staged one its draining
  std::optional<double>
      ckpt_stage_s;  ///< before that, of one that waited in checkpoint.staging: the slowest rank's copy
  std::optional<std::uint64_t> ckpt_bytes;  ///< its tensors, all ranks together
  std::optional<std::int64_t> ckpt_failed;  ///< saves in a row that have failed, where the last one did

  std::string json() const;  ///< one line, without its end; what is not finite is null
};

/// Appends lines, each on the disk's side of stdio when write() returns.
class MetricsFile {
 public:
  explicit MetricsFile(const std::filesystem::path& file);
  void write(const StepMetrics& metrics);

 private:
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// Moves the lines after `step`, and a torn last line, from `file` to the end of `aside`. A missing file is an empty
/// one.
void move_lines_after(std::int64_t step, const std::filesystem::path& file, const std::filesystem::path& aside);

}  // namespace eddy::train
