#include "train/validation.h"

#include <algorithm>

namespace eddy::train {

Validation::Validation(const BatchShape& shape, std::int64_t rows,
                       std::function<void(std::int64_t, shard::PackedRow&)> row)
    : shape_(shape), rows_(rows), row_(std::move(row)) {}

Validation::Result Validation::run(Engine& engine, const std::function<bool()>& stop) const {
  const auto& layout = engine.groups().layout;
  const std::int64_t wave = static_cast<std::int64_t>(layout.dp()) * shape_.micro_batch;  // rows that run side by side
  const std::int64_t deep = std::max(4, 2 * layout.pp);                                   // enough to fill the pipeline
  BatchShape shape = shape_;
  model::LossSums sums;
  for (std::int64_t begin = 0; begin < rows_; begin += wave * shape.micro_batches) {
    double stopping = stop() ? 1 : 0;
    engine.groups().world->all_reduce(&stopping, 1, Dtype::f64, comm::Reduce::max);
    if (stopping > 0) return {{}, true};
    shape.micro_batches = static_cast<int>(std::min(deep, (rows_ - begin + wave - 1) / wave));
    const std::int64_t mine =
        begin + static_cast<std::int64_t>(shape.replica) * shape.micro_batch * shape.micro_batches;
    const auto batches = make_batches(shape, mine, [&](std::int64_t index, shard::PackedRow& out) {
      if (index < rows_) return row_(index, out);
      out.ids.assign(static_cast<std::size_t>(shape.seq_len), 0);
      out.loss.assign(static_cast<std::size_t>(shape.seq_len), 0);
      out.doc_lengths.clear();
    });
    sums += engine.evaluate(batches);
  }
  if (sums.main_count == 0) return {};
  return {sums.main / static_cast<double>(sums.main_count)};
}

}  // namespace eddy::train
