#pragma once
// The step loop: data in, metrics and checkpoints out.
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/stop_request.h"
#include "checkpoint/saver.h"
#include "comm/session.h"
#include "train/batches.h"
#include "train/fault.h"
#include "train/metrics.h"
#include "train/run_dir.h"
#include "train/state.h"
#include "train/validation.h"

namespace eddy::train {

/// What a loop is given; all of it outlives the loop.
struct LoopParts {
  comm::Session& session;
  const Config& config;
  const ModelChoice& choice;
  const RunDir& dir;
  Engine& engine;
  Batches& batches;
  const Validation* validation;  ///< null: none
  const StopRequest& stop;
  std::uint64_t tokenizer_hash, data_hash;
  std::vector<std::filesystem::path> attachments;  ///< files copied into each checkpoint: the tokenizer
  nlohmann::json bits;
  std::int64_t total_steps;
};

class Loop {
 public:
  Loop(const LoopParts& parts, const Progress& progress);
  /// To the last step, or to where the run is asked to stop. Collective over the engine's world.
  Exit run();

 private:
  /// The largest over all ranks of what each says; `min` quantities go negated.
  struct Agreed {
    bool stop = false;
    checkpoint::Saver::Local saving;  ///< of any rank
    double data_wait_s = 0, peak_bytes = 0, rss_bytes = 0;
    std::optional<double> load_max, load_min;
    std::optional<std::int64_t> waves;
  };
  Agreed agree(const Engine::Result& result, double data_wait_s);
  StepMetrics train_one(bool& stop);
  bool validate(StepMetrics& metrics);  ///< true: asked to stop meanwhile
  void begin_save(bool last);
  /// A save under way, given what the ranks said at the end of a step.
  void continue_save(const checkpoint::Saver::Local& any);
  /// To the end of the save under way. It must succeed where it is the last one.
  void finish_save(bool last);
  void saved();
  void save_failed(const Error& e, bool bear = false);
  void write(StepMetrics& metrics);  ///< to metrics.jsonl, with what is to be said of checkpoints
  void show(const StepMetrics& metrics);

  LoopParts p_;
  Progress progress_;
  optim::Schedule schedule_;
  Fault fault_;
  double flops_per_token_;
  int bad_in_a_row_ = 0;
  std::int64_t first_step_;
  checkpoint::Saver saver_;
  std::int64_t saving_step_, saved_step_;  // the last save begun, the last one that stands
  int failed_saves_ = 0;                   // in a row
  double stall_s_ = 0;                     // since the last line of metrics
  StepMetrics saved_;                      // what that line will say of checkpoints
  std::optional<MetricsFile> metrics_;     // rank 0
  log::Progress bar_;
};

}  // namespace eddy::train
