#pragma once
// Forward passes over a growing prefix, with a key–value cache. Activations are replicated over the ranks of a stage
// (one token at a time has nothing to cut along the sequence); heads, widths and experts stay split as in training.
#include <memory>

#include "hf/config.h"
#include "model/parameters.h"
#include "parallel/groups.h"
#include "parallel/parameter_store.h"

namespace eddy::model {

/// The cache holds MLA's latent and the shared rotated key (arXiv 2405.04434, §2.1.2): kv_lora + rope numbers a token
/// and layer; the up-projections are absorbed into the query and the output instead of expanding keys and values.
class DecodeStage {
 public:
  /// Room for max_tokens positions. Everything given must outlive the stage.
  DecodeStage(const hf::ModelConfig& config, const parallel::Groups& groups, const StagePlan& plan,
              const parallel::ParameterStore& store, std::int64_t max_tokens);
  ~DecodeStage();

  /// n new tokens at positions [length(), length() + n): ids int32 [n]; input [n, hidden] from the stage before (empty
  /// on the first). → hidden [n, hidden], or on the last stage the last token's logits [1, V]. Collective over the
  /// stage.
  tensor::Tensor forward(tensor::View ids, tensor::Tensor input);
  std::int64_t length() const;
  void clear();  ///< forgets the prefix

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::model
