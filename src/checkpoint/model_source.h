#pragma once
// A model's weights from wherever they lie: a Hugging Face folder or an Eddy checkpoint.
#include <filesystem>
#include <memory>

#include "hf/config.h"
#include "parallel/parameter_store.h"

namespace eddy::checkpoint {

class ModelSource {
 public:
  /// Throws Error (status 2) when `path` is neither, or is damaged.
  explicit ModelSource(const std::filesystem::path& path);
  ~ModelSource();
  ModelSource(ModelSource&&) noexcept;
  ModelSource& operator=(ModelSource&&) noexcept;

  const hf::ModelConfig& config() const;
  bool has_mtp() const;  ///< the multi-token-prediction layer's weights are there
  void fill(
      const parallel::ParameterStore& store) const;  ///< every parameter's block; throws naming one that is missing
  void fill(const parallel::Parameter& parameter) const;
  std::filesystem::path tokenizer() const;  ///< its tokenizer.json, or empty

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::checkpoint
