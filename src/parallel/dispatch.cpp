#include "parallel/dispatch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "device/span.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/permute/permute.h"
#include "kernels/visits/visits.h"

namespace eddy::parallel {
using comm::Communicator;
using device::Stream;
using tensor::Tensor;
using tensor::View;

namespace {

std::vector<std::size_t> times(const std::vector<std::size_t>& rows, std::int64_t width) {
  auto out = rows;
  for (auto& n : out) n *= static_cast<std::size_t>(width);
  return out;
}
std::int64_t sum(const std::vector<std::size_t>& v) {
  return static_cast<std::int64_t>(std::accumulate(v.begin(), v.end(), std::size_t{0}));
}

/// rows [sent, W] of a wave → arrived [A, W].
void exchange(const Stream& stream, Communicator& ep, const DispatchWave& wave, View rows, View arrived) {
  const std::int64_t width = rows.cols();
  ep.all_to_all_v(rows.data, times(wave.send_rows, width), arrived.data, times(wave.recv_rows, width), rows.dtype,
                  stream);
}
/// All that travels was taken from the stream's memory before: the lane waits for who had it until then.
Stream lane_behind(const Stream& stream) {
  Stream lane = device::lane(stream, device::Lane::rows);
  device::Mark ready;
  ready.set(stream);
  ready.hold(lane);
  return lane;
}
/// The reverse of exchange(), begun on the lane, into the wave's part of back [V, W].
Transit begin_back(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                   Tensor leaving, Tensor& back) {
  const std::int64_t width = leaving.shape()[1];
  const Dtype dtype = leaving.view().dtype;
  const DispatchWave& last = plan.waves.back();
  if (!back) back = Tensor({last.begin + last.sent, width}, dtype, stream);
  const Stream lane = lane_behind(stream);
  ep.all_to_all_v(leaving.view().data, times(wave.recv_rows, width),
                  back.view().row_range(wave.begin, wave.begin + wave.sent).data, times(wave.send_rows, width), dtype,
                  lane);
  Transit transit{std::move(leaving), {}, {}};
  transit.there.set(lane);
  return transit;
}
void wait_for(const Stream& stream, const Transit& transit) {
  if (!transit.leaving) return;
  const device::Span span(stream, "wait for rows of other ranks");
  transit.there.hold(stream);
}

/// Sorts a wave's arrivals by expert. choices int32 [A, k] counted from this rank's first expert, weights float32 [A,
/// k], `local` experts here; counts int64 [local] is overwritten. R is read here where that costs nothing.
void sort_arrivals(const Stream& stream, View choices, View weights, std::int64_t local, View counts, View total,
                   DispatchWave& wave) {
  const std::int64_t k = choices.shape[1], all = wave.arrived * k;
  wave.slots = Tensor({wave.arrived, k}, Dtype::i32, stream);
  wave.tokens = Tensor({all}, Dtype::i32, stream);
  wave.offsets = Tensor({local + 1}, Dtype::i64, stream);
  const Tensor pairs({all}, Dtype::i32, stream);
  kernels::sort_by_expert(stream, choices, wave.slots, pairs, wave.tokens, counts, wave.offsets, total);
  if (wave.send_rows.size() == 1) wave.rows = stream.on_gpu() ? all : wave.offsets.view().as<std::int64_t>()[local];
  wave.weights = Tensor({wave.rows, 1}, Dtype::f32, stream);
  kernels::gather_rows(stream, weights.reshape({all, 1}), pairs.view().row_range(0, wave.rows), wave.weights);
}

std::int64_t cut(std::int64_t n, std::int64_t wave, std::int64_t waves) {  // as kernels::deal_waves
  return n * (wave + 1) / waves - n * wave / waves;
}

/// What every rank sends to every other, known to all alike.
class Exchange {
 public:
  /// counts int64 [ranks, experts + ranks]: of each source rank, pairs by expert and visits by rank.
  Exchange(View counts, std::int64_t experts)
      : ranks_(counts.rows()), visits_(u(ranks_ * ranks_)), pairs_(visits_.size()) {
    for (std::int64_t s = 0; s < ranks_; ++s) {
      const std::int64_t* row = counts.as<std::int64_t>() + s * (experts + ranks_);
      for (std::int64_t e = 0; e < experts; ++e) pairs_[at(s, e / (experts / ranks_))] += row[e];
      for (std::int64_t d = 0; d < ranks_; ++d) visits_[at(s, d)] = row[experts + d];
    }
  }
  /// The most rows of a rank's experts in a wave.
  std::int64_t most_rows() const {
    std::int64_t n = 0;
    for (std::int64_t w = 0; w < waves_; ++w)
      for (std::int64_t d = 0; d < ranks_; ++d) n = std::max(n, rows(d, w));
    return n;
  }
  /// Takes as few waves as keep within the capacity. counts int64 [ranks, ranks · most]: of each source rank, visits by
  /// rank and how many rows they have (1 to most).
  void split(View counts, std::int64_t most, std::int64_t capacity) {
    const std::int64_t all = most_rows();
    most_ = most;
    visits_.assign(counts.as<std::int64_t>(), counts.as<std::int64_t>() + counts.numel());
    const std::int64_t largest = *std::max_element(visits_.begin(), visits_.end());  // so many leave one of a kind
    waves_ = std::max<std::int64_t>(2, (all + capacity - 1) / capacity);
    while (waves_ < largest && most_rows() > capacity) ++waves_;
  }
  std::int64_t waves() const { return waves_; }
  /// Visits of rank s to rank d in a wave.
  std::int64_t visits(std::int64_t s, std::int64_t d, std::int64_t wave) const {
    std::int64_t n = 0;
    for (std::int64_t c = 0; c < most_; ++c) n += cut(visits_[at(s, d) * u(most_) + u(c)], wave, waves_);
    return n;
  }
  /// Rows of rank d's experts in a wave.
  std::int64_t rows(std::int64_t d, std::int64_t wave) const {
    std::int64_t n = 0;
    for (std::int64_t s = 0; s < ranks_; ++s) {
      if (waves_ == 1) n += pairs_[at(s, d)];
      for (std::int64_t c = 0; waves_ > 1 && c < most_; ++c)
        n += (c + 1) * cut(visits_[at(s, d) * u(most_) + u(c)], wave, waves_);
    }
    return n;
  }

 private:
  static std::size_t u(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::size_t at(std::int64_t s, std::int64_t d) const { return u(s * ranks_ + d); }
  std::int64_t ranks_, most_ = 1, waves_ = 1;
  std::vector<std::int64_t> visits_, pairs_;  // [ranks, ranks, most], [ranks, ranks]
};

}  // namespace

std::size_t DispatchPlan::bytes() const {
  std::size_t n = slots.bytes() + tokens.bytes();
  for (const auto& w : waves) n += w.slots.bytes() + w.tokens.bytes() + w.offsets.bytes() + w.weights.bytes();
  return n;
}

std::int64_t least_rows(int top_k, int experts, int ranks) {
  const std::int64_t most = std::min(top_k, experts / ranks);
  return ranks * most * (most + 1) / 2;
}

std::int64_t planned_rows(std::int64_t tokens, int top_k, int experts, int ranks, double factor) {
  const std::int64_t most = std::min(top_k, experts / ranks), all = tokens * ranks * most;
  if (ranks == 1) return all;
  const double planned = std::ceil(factor * static_cast<double>(tokens) * top_k);
  if (planned >= static_cast<double>(all)) return all;
  return std::min(all, std::max(static_cast<std::int64_t>(planned), least_rows(top_k, experts, ranks)));
}

DispatchPlan plan_dispatch(const Stream& stream, Communicator& ep, View indices, View weights, int experts,
                           std::int64_t capacity, View total) {
  const std::int64_t own = indices.rows(), k = indices.shape[1], ranks = ep.size(), local = experts / ranks;
  DispatchPlan plan;
  if (ranks == 1) {
    DispatchWave& wave = plan.waves.emplace_back();
    wave.sent = wave.arrived = own;
    wave.send_rows = wave.recv_rows = {static_cast<std::size_t>(own)};
    const Tensor counts({experts}, Dtype::i64, stream);
    sort_arrivals(stream, indices, weights, experts, counts, total, wave);
    return plan;
  }
  const std::int64_t m = std::min(k, ranks), most = std::min(k, local), me = ep.rank();
  plan.slots = Tensor({own, m}, Dtype::i32, stream);
  plan.tokens = Tensor({own * m}, Dtype::i32, stream);
  const auto gathered = [&](View counts) {
    const Tensor all({ranks, counts.numel()}, Dtype::i64, stream);
    ep.all_gather(counts.data, all.view().data, static_cast<std::size_t>(counts.numel()), Dtype::i64, stream);
    return tensor::to_host(stream, all);
  };
  Tensor pairs({own * k}, Dtype::i32, stream), visits({own, m}, Dtype::i32, stream);
  const View visit_pairs = pairs.view().row_range(0, own * m);  // not needed
  Tensor counts({experts + ranks}, Dtype::i64, stream);
  {  // pairs by expert, of which only the counts matter, and visits by rank
    const Tensor slots({own, k}, Dtype::i32, stream), tokens({own * k}, Dtype::i32, stream),
        offsets({experts + 1}, Dtype::i64, stream), rank_offsets({ranks + 1}, Dtype::i64, stream);
    kernels::sort_by_expert(stream, indices, slots, pairs, tokens, counts.view().row_range(0, experts), offsets, total);
    kernels::visited_ranks(stream, indices, local, ranks, visits);
    kernels::sort_by_expert(stream, visits, plan.slots, visit_pairs, plan.tokens,
                            counts.view().row_range(experts, experts + ranks), rank_offsets, {});
  }
  Exchange known(gathered(counts), experts);
  if (known.most_rows() > capacity) {  // on all ranks alike: sorted once more, also by how many rows a visit has
    const Tensor classes({own, m}, Dtype::i32, stream), offsets({ranks * most + 1}, Dtype::i64, stream);
    counts = Tensor({ranks * most}, Dtype::i64, stream);
    kernels::visit_classes(stream, indices, local, most, visits, classes);
    kernels::sort_by_expert(stream, classes, plan.slots, visit_pairs, plan.tokens, counts, offsets, {});
    known.split(gathered(counts), most, capacity);
    kernels::deal_waves(stream, offsets, known.waves(), plan.slots, plan.tokens);
  }
  visits.reset();
  pairs.reset();
  std::int64_t begin = 0;
  for (std::int64_t w = 0; w < known.waves(); ++w) {
    DispatchWave& wave = plan.waves.emplace_back();
    for (std::int64_t r = 0; r < ranks; ++r) {
      wave.send_rows.push_back(static_cast<std::size_t>(known.visits(me, r, w)));
      wave.recv_rows.push_back(static_cast<std::size_t>(known.visits(r, me, w)));
    }
    wave.begin = begin;
    wave.sent = sum(wave.send_rows);
    wave.arrived = sum(wave.recv_rows);
    wave.rows = known.rows(me, w);
    begin += wave.sent;
    const Tensor packed({wave.sent, 2 * k}, Dtype::i32, stream), arrived({wave.arrived, 2 * k}, Dtype::i32, stream);
    kernels::pack_choices(stream, indices, weights, plan.tokens.view().row_range(wave.begin, begin), packed);
    exchange(stream, ep, wave, packed, arrived);
    const Tensor choices({wave.arrived, k}, Dtype::i32, stream), their_weights({wave.arrived, k}, Dtype::f32, stream),
        expert_rows({local}, Dtype::i64, stream);
    kernels::unpack_choices(stream, arrived, me * local, local, choices, their_weights);
    sort_arrivals(stream, choices, their_weights, local, expert_rows, {}, wave);
  }
  return plan;
}

Transit begin_to_experts(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                         View x) {
  if (ep.size() == 1) return {};
  const std::int64_t width = x.cols();
  Transit transit{{{wave.sent, width}, x.dtype, stream}, {{wave.arrived, width}, x.dtype, stream}, {}};
  kernels::gather_rows(stream, x, plan.tokens.view().row_range(wave.begin, wave.begin + wave.sent), transit.leaving);
  const Stream lane = lane_behind(stream);
  exchange(lane, ep, wave, transit.leaving, transit.arrived);
  transit.there.set(lane);
  return transit;
}

Tensor receive_at_experts(const Stream& stream, const DispatchWave& wave, View x, Transit transit) {
  wait_for(stream, transit);
  transit.leaving.reset();
  Tensor rows({wave.rows, x.cols()}, x.dtype, stream);
  kernels::gather_rows(stream, transit.arrived ? transit.arrived.view() : x, wave.tokens.view().row_range(0, wave.rows),
                       rows);
  return rows;
}

Transit begin_from_experts(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                           Tensor rows, Tensor& back) {
  if (ep.size() == 1) {
    back = std::move(rows);
    return {};
  }
  Tensor leaving({wave.arrived, rows.shape()[1]}, rows.view().dtype, stream);
  kernels::combine_rows(stream, rows, wave.slots, {}, false, leaving);
  rows.reset();
  return begin_back(stream, ep, plan, wave, std::move(leaving), back);
}

void end_transit(const Stream& stream, Transit transit) {
  wait_for(stream, transit);
}

void sum_returned(const Stream& stream, const DispatchPlan& plan, View back, bool accumulate, View y) {
  kernels::combine_rows(stream, back, plan.slots ? plan.slots : plan.waves[0].slots, {}, accumulate, y);
}

Transit begin_weight_gradients(const Stream& stream, Communicator& ep, const DispatchPlan& plan,
                               const DispatchWave& wave, View d_weights, Tensor& back) {
  const View slots = wave.slots;
  Tensor by_choice(slots.shape, Dtype::f32, stream);
  kernels::gather_rows(stream, d_weights, slots.reshape({slots.numel()}), by_choice.view().reshape({slots.numel(), 1}));
  if (ep.size() > 1) return begin_back(stream, ep, plan, wave, std::move(by_choice), back);
  back = std::move(by_choice);
  return {};
}

Tensor weight_gradients(const Stream& stream, const DispatchPlan& plan, Tensor back) {
  if (!plan.slots) return back;
  Tensor out({plan.slots.shape()[0], back.shape()[1]}, Dtype::f32, stream);
  kernels::combine_rows(stream, back, plan.slots, {}, false, out);
  return out;
}

}  // namespace eddy::parallel
