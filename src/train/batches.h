#pragma once
// Which rows a rank computes in a step, as micro-batches; prepared while the step before is under way.
#include <cstdint>
#include <functional>
#include <future>
#include <vector>

#include "model/micro_batch.h"
#include "shard/sampler.h"

namespace eddy::train {

/// Row `index` in [0, global batch) of step `step`, written into the last argument. Must be safe to call from any
/// thread.
using RowSource = std::function<void(std::int64_t step, int index, shard::PackedRow&)>;

struct BatchShape {
  std::int64_t seq_len = 0;
  int micro_batch = 1;    ///< rows a micro-batch
  int micro_batches = 1;  ///< of one replica a step
  int replica = 0;        ///< which of the data-parallel replicas: it has rows [replica · n, (replica + 1) · n)
  int vocab_size = 0, max_positions = 0;
  int multiple_of = 1;  ///< tokens are padded to it (TP)
};

/// A replica's micro-batches from rows begin, begin + 1 …; `row` is asked for rows of [begin, begin + micro_batch ·
/// micro_batches).
std::vector<model::MicroBatch> make_batches(const BatchShape& shape, std::int64_t begin,
                                            const std::function<void(std::int64_t index, shard::PackedRow&)>& row);

class Batches {
 public:
  Batches(BatchShape shape, RowSource source) : shape_(shape), source_(std::move(source)) {}
  /// Micro-batches of `step`; those of step + 1 are prepared meanwhile unless `last`. Throws what the source throws.
  std::vector<model::MicroBatch> next(std::int64_t step, bool last);

 private:
  std::vector<model::MicroBatch> make(std::int64_t step) const;
  BatchShape shape_;
  RowSource source_;
  std::int64_t ahead_step_ = -1;
  std::future<std::vector<model::MicroBatch>> ahead_;
};

}  // namespace eddy::train
