#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/model_source.h"
#include "comm/communicator.h"
#include "generate/sampling.h"
#include "model/decode.h"

namespace eddy::generate {

/// A model loaded for generation on all ranks of `world`; every rank calls everything with the same arguments.
class Generator {
 public:
  /// layout.world must be world's size. Data-parallel replicas hold the same tokens and do the same work.
  Generator(comm::Communicator& world, const checkpoint::ModelSource& source, const parallel::Layout& layout,
            std::int64_t max_tokens);

  /// Continues `prompt` until `stop`, or max_new tokens; the result has the new tokens only (with the stop token when
  /// it came). `on_token` (may be empty) sees each as it is chosen. Throws Error (status 2) for an empty prompt or an
  /// id outside the vocabulary.
  std::vector<std::int32_t> generate(std::span<const std::int32_t> prompt, std::int64_t max_new,
                                     const Sampling& sampling, std::int32_t stop,
                                     const std::function<void(std::int32_t)>& on_token = {});
  const hf::ModelConfig& config() const { return config_; }

 private:
  std::int32_t advance(std::span<const std::int32_t> tokens, const Sampling& sampling);
  hf::ModelConfig config_;
  parallel::Groups groups_;
  model::StagePlan plan_;
  parallel::ParameterStore store_;
  model::DecodeStage stage_;
  std::int64_t max_tokens_;
};

}  // namespace eddy::generate
