#include "parallel/dispatch.h"

#include <numeric>

#include "kernels/dispatch/dispatch.h"
#include "kernels/permute/permute.h"

namespace eddy::parallel {
using tensor::Tensor;
using tensor::View;

namespace {

std::vector<std::size_t> times(const std::vector<std::size_t>& rows, std::int64_t width) {
  auto out = rows;
  for (auto& n : out) n *= static_cast<std::size_t>(width);
  return out;
}

/// [ranks] sums of `local` neighbouring counts each.
std::vector<std::size_t> by_rank(const std::int64_t* counts, int ranks, std::int64_t local) {
  std::vector<std::size_t> out;
  for (int r = 0; r < ranks; ++r)
    out.push_back(
        static_cast<std::size_t>(std::accumulate(counts + r * local, counts + (r + 1) * local, std::int64_t{0})));
  return out;
}

}  // namespace

std::size_t DispatchPlan::bytes() const {
  std::size_t n = 0;
  for (const Tensor* t : {&send_tokens, &send_pairs, &slots, &from_arrival, &to_arrival, &offsets}) n += t->bytes();
  return n;
}

DispatchPlan plan_dispatch(const device::Stream& stream, comm::Communicator& ep, View indices, int experts,
                           View total) {
  const std::int64_t tokens = indices.rows(), k = indices.shape[1], all = tokens * k;
  const int ranks = ep.size();
  const std::int64_t local = experts / ranks;
  DispatchPlan plan;
  plan.send_tokens = Tensor({all}, Dtype::i32, stream);
  plan.send_pairs = Tensor({all}, Dtype::i32, stream);
  plan.slots = Tensor({tokens, k}, Dtype::i32, stream);
  plan.offsets = Tensor({experts + 1}, Dtype::i64, stream);
  Tensor counts({2, experts}, Dtype::i64, stream);  // those sent, those that arrive: [s · local + e] from rank s
  const View sent = counts.view().row_range(0, 1).reshape({experts}),
             arriving = counts.view().row_range(1, 2).reshape({experts});
  kernels::sort_by_expert(stream, indices, plan.slots, plan.send_pairs, plan.send_tokens, sent, plan.offsets, total);
  if (ranks == 1) {
    plan.pairs = plan.received = stream.on_gpu() ? all : plan.offsets.view().as<std::int64_t>()[experts];
    plan.send_rows = plan.recv_rows = {static_cast<std::size_t>(plan.pairs)};
    return plan;
  }
  ep.all_to_all(sent.data, arriving.data, static_cast<std::size_t>(local), Dtype::i64, stream);
  const Tensor known = tensor::to_host(stream, counts);
  plan.send_rows = by_rank(known.view().as<std::int64_t>(), ranks, local);
  plan.recv_rows = by_rank(known.view().as<std::int64_t>() + experts, ranks, local);
  const auto sum = [](const std::vector<std::size_t>& v) {
    return static_cast<std::int64_t>(std::accumulate(v.begin(), v.end(), std::size_t{0}));
  };
  plan.pairs = sum(plan.send_rows);
  plan.received = sum(plan.recv_rows);
  plan.from_arrival = Tensor({plan.received}, Dtype::i32, stream);
  plan.to_arrival = Tensor({plan.received}, Dtype::i32, stream);
  plan.offsets = Tensor({local + 1}, Dtype::i64, stream);
  kernels::arrival_order(stream, arriving, ranks, plan.from_arrival, plan.to_arrival, plan.offsets);
  return plan;
}

Tensor send_to_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan, Tensor rows) {
  if (ep.size() == 1) return rows;
  const std::int64_t width = rows.shape()[1];
  const Dtype dtype = rows.view().dtype;
  Tensor arrived({plan.received, width}, dtype, stream), grouped({plan.received, width}, dtype, stream);
  ep.all_to_all_v(rows.view().data, times(plan.send_rows, width), arrived.view().data, times(plan.recv_rows, width),
                  dtype, stream);
  kernels::gather_rows(stream, arrived, plan.from_arrival, grouped);
  return grouped;
}

Tensor return_from_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                           Tensor rows) {
  if (ep.size() == 1) return rows;
  const std::int64_t width = rows.shape()[1];
  const Dtype dtype = rows.view().dtype;
  Tensor leaving({plan.received, width}, dtype, stream), back({plan.pairs, width}, dtype, stream);
  kernels::gather_rows(stream, rows, plan.to_arrival, leaving);
  ep.all_to_all_v(leaving.view().data, times(plan.recv_rows, width), back.view().data, times(plan.send_rows, width),
                  dtype, stream);
  return back;
}

}  // namespace eddy::parallel
