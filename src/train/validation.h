#pragma once
#include <functional>
#include <optional>

#include "shard/sampler.h"
#include "train/batches.h"
#include "train/engine.h"

namespace eddy::train {

/// Mean loss over a fixed set of rows, the same whatever the layout. A row is padded away where replicas run out of
/// rows.
class Validation {
 public:
  /// `rows` rows, given by `row`; shape.micro_batches is not used.
  Validation(const BatchShape& shape, std::int64_t rows,
             std::function<void(std::int64_t index, shard::PackedRow&)> row);
  struct Result {
    std::optional<double> loss;  ///< mean over the masked tokens; none when stopped, or when no token counts
    bool stopped = false;
  };
  /// `stop` is asked now and then on every rank: true on any ends the validation. Collective over the engine's world.
  Result run(Engine& engine, const std::function<bool()>& stop) const;

 private:
  BatchShape shape_;
  std::int64_t rows_;
  std::function<void(std::int64_t, shard::PackedRow&)> row_;
};

}  // namespace eddy::train
