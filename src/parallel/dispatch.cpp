#include "parallel/dispatch.h"

#include <cstring>

namespace eddy::parallel {
using tensor::Tensor;
using tensor::View;

namespace {

/// to[r] = from[order[r]]; kernels/ lies above this folder's line of sight to math, so rows are moved as bytes.
void reorder(View from, View order, View to) {
  const std::size_t width = static_cast<std::size_t>(from.cols()) * size_of(from.dtype);
  const std::int32_t* o = order.i32();
#pragma omp parallel for if (to.bytes() > (1u << 20))
  for (std::int64_t r = 0; r < to.rows(); ++r)
    std::memcpy(static_cast<char*>(to.data) + static_cast<std::size_t>(r) * width,
                static_cast<const char*>(from.data) + static_cast<std::size_t>(o[r]) * width, width);
}

std::vector<std::size_t> times(const std::vector<std::size_t>& rows, std::int64_t width) {
  auto out = rows;
  for (auto& n : out) n *= static_cast<std::size_t>(width);
  return out;
}

}  // namespace

std::size_t DispatchPlan::bytes() const {
  return send_tokens.bytes() + slots.bytes() + from_arrival.bytes() + to_arrival.bytes();
}

DispatchPlan plan_dispatch(comm::Communicator& ep, View indices, int experts) {
  const std::int64_t tokens = indices.rows(), k = indices.shape[1];
  const int ranks = ep.size(), local = experts / ranks;
  const std::int32_t* chosen = indices.i32();
  DispatchPlan plan;

  // Counting sort of the pairs by expert; tokens stay in order within an expert.
  std::vector<std::int64_t> counts(static_cast<std::size_t>(experts), 0);
  for (std::int64_t i = 0; i < tokens * k; ++i)
    if (chosen[i] >= 0) ++counts[static_cast<std::size_t>(chosen[i])];
  std::vector<std::int64_t> next(static_cast<std::size_t>(experts), 0);
  for (int e = 1; e < experts; ++e)
    next[static_cast<std::size_t>(e)] = next[static_cast<std::size_t>(e - 1)] + counts[static_cast<std::size_t>(e - 1)];
  for (const auto c : counts) plan.pairs += c;
  plan.send_tokens = Tensor({plan.pairs}, Dtype::i32);
  plan.slots = Tensor({tokens, k}, Dtype::i32);
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int32_t e = chosen[t * k + j];
      const std::int64_t at = e < 0 ? -1 : next[static_cast<std::size_t>(e)]++;
      plan.slots.i32()[t * k + j] = static_cast<std::int32_t>(at);
      if (at >= 0) plan.send_tokens.i32()[at] = static_cast<std::int32_t>(t);
    }

  // arriving[s · local + e]: pairs from rank s for my local expert e.
  std::vector<std::int64_t> arriving(static_cast<std::size_t>(experts));
  ep.all_to_all(counts.data(), arriving.data(), static_cast<std::size_t>(local), Dtype::i64);
  plan.send_rows.assign(static_cast<std::size_t>(ranks), 0);
  plan.recv_rows.assign(static_cast<std::size_t>(ranks), 0);
  plan.offsets.assign(static_cast<std::size_t>(local) + 1, 0);
  for (int s = 0; s < ranks; ++s)
    for (int e = 0; e < local; ++e) {
      const auto at = static_cast<std::size_t>(s * local + e);
      plan.send_rows[static_cast<std::size_t>(s)] += static_cast<std::size_t>(counts[at]);
      plan.recv_rows[static_cast<std::size_t>(s)] += static_cast<std::size_t>(arriving[at]);
      plan.offsets[static_cast<std::size_t>(e) + 1] += arriving[at];
    }
  for (int e = 0; e < local; ++e)
    plan.offsets[static_cast<std::size_t>(e) + 1] += plan.offsets[static_cast<std::size_t>(e)];
  plan.received = plan.offsets.back();

  plan.from_arrival = Tensor({plan.received}, Dtype::i32);
  plan.to_arrival = Tensor({plan.received}, Dtype::i32);
  auto place = plan.offsets;  // next free row of each expert; source ranks come in order
  std::int32_t arrival = 0;
  for (int s = 0; s < ranks; ++s)
    for (int e = 0; e < local; ++e)
      for (std::int64_t i = 0; i < arriving[static_cast<std::size_t>(s * local + e)]; ++i, ++arrival) {
        const std::int64_t r = place[static_cast<std::size_t>(e)]++;
        plan.from_arrival.i32()[r] = arrival;
        plan.to_arrival.i32()[arrival] = static_cast<std::int32_t>(r);
      }
  return plan;
}

Tensor send_to_experts(const device::Stream&, comm::Communicator& ep, const DispatchPlan& plan, View rows) {
  const std::int64_t width = rows.shape.rank() == 1 ? 1 : rows.shape[1];
  Tensor arrived({plan.received, width}), grouped({plan.received, width});
  ep.all_to_all_v(rows.data, times(plan.send_rows, width), arrived.view().data, times(plan.recv_rows, width),
                  Dtype::f32);
  reorder(arrived, plan.from_arrival, grouped);
  return grouped;
}

Tensor return_from_experts(const device::Stream&, comm::Communicator& ep, const DispatchPlan& plan, View rows) {
  const std::int64_t width = rows.shape.rank() == 1 ? 1 : rows.shape[1];
  Tensor leaving({plan.received, width}), back({plan.pairs, width});
  reorder(rows, plan.to_arrival, leaving);
  ep.all_to_all_v(leaving.view().data, times(plan.recv_rows, width), back.view().data, times(plan.send_rows, width),
                  Dtype::f32);
  return back;
}

}  // namespace eddy::parallel
