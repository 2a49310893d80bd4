#include "train/batches.h"

namespace eddy::train {

std::vector<model::MicroBatch> make_batches(const BatchShape& shape, std::int64_t begin,
                                            const std::function<void(std::int64_t, shard::PackedRow&)>& row) {
  std::vector<model::MicroBatch> batches;
  std::vector<shard::PackedRow> packed(static_cast<std::size_t>(shape.micro_batch));
  for (int b = 0; b < shape.micro_batches; ++b) {
    std::vector<model::Row> rows;
    for (auto& p : packed) {
      row(begin++, p);
      rows.push_back({p.ids, p.doc_lengths, p.loss});
    }
    batches.push_back(model::make_micro_batch(rows, shape.vocab_size, shape.max_positions, shape.multiple_of));
  }
  return batches;
}

std::vector<model::MicroBatch> Batches::make(std::int64_t step) const {
  const std::int64_t rows = static_cast<std::int64_t>(shape_.micro_batch) * shape_.micro_batches;
  return make_batches(shape_, shape_.replica * rows,
                      [&](std::int64_t index, shard::PackedRow& out) { source_(step, static_cast<int>(index), out); });
}

std::vector<model::MicroBatch> Batches::next(std::int64_t step, bool last) {
  auto batches = ahead_.valid() && ahead_step_ == step ? ahead_.get() : make(step);
  if (!last) {
    ahead_step_ = step + 1;
    ahead_ = std::async(std::launch::async, [this, step] { return make(step + 1); });
  }
  return batches;
}

}  // namespace eddy::train
