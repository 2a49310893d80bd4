#include "parallel/dispatch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

/// rows [sent, W] of a wave → [A, W].
Tensor exchange(const Stream& stream, Communicator& ep, const DispatchWave& wave, View rows) {
  const std::int64_t width = rows.cols();
  Tensor arrived({wave.arrived, width}, rows.dtype, stream);
  ep.all_to_all_v(rows.data, times(wave.send_rows, width), arrived.view().data, times(wave.recv_rows, width),
                  rows.dtype, stream);
  return arrived;
}
/// The reverse, into the wave's part of back [V, W].
void exchange_back(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                   const Tensor& leaving, Tensor& back) {
  const std::int64_t width = leaving.shape()[1];
  const Dtype dtype = leaving.view().dtype;
  const DispatchWave& last = plan.waves.back();
  if (!back) back = Tensor({last.begin + last.sent, width}, dtype, stream);
  ep.all_to_all_v(leaving.view().data, times(wave.recv_rows, width),
                  back.view().row_range(wave.begin, wave.begin + wave.sent).data, times(wave.send_rows, width), dtype,
                  stream);
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

/// What every rank sends to every other: of rank s to rank d at s · ranks + d.
struct Matrix {
  std::int64_t ranks = 0;
  std::vector<std::int64_t> visits, pairs;
  std::size_t at(std::int64_t s, std::int64_t d) const { return static_cast<std::size_t>(s * ranks + d); }
  /// known int64 [ranks, experts + ranks]: of each source rank, pairs by expert and visits by rank.
  Matrix(View known, std::int64_t experts)
      : ranks(known.rows()), visits(static_cast<std::size_t>(ranks * ranks)), pairs(visits.size()) {
    for (std::int64_t s = 0; s < ranks; ++s) {
      const std::int64_t* row = known.as<std::int64_t>() + s * (experts + ranks);
      for (std::int64_t e = 0; e < experts; ++e) pairs[at(s, e / (experts / ranks))] += row[e];
      for (std::int64_t d = 0; d < ranks; ++d) visits[at(s, d)] = row[experts + d];
    }
  }
  std::int64_t pairs_to(std::int64_t d) const {
    std::int64_t n = 0;
    for (std::int64_t s = 0; s < ranks; ++s) n += pairs[at(s, d)];
    return n;
  }
  /// Visits of wave `wave` of `waves`; kernels::deal_waves cuts so.
  std::int64_t piece(std::int64_t s, std::int64_t d, std::int64_t wave, std::int64_t waves) const {
    const std::int64_t n = visits[at(s, d)];
    return n * (wave + 1) / waves - n * wave / waves;
  }
  /// The fewest waves in which no rank gets more rows than the capacity. Where one is too few, each visit counts for as
  /// many rows as it can have, `most`: which visits have how many is not known here.
  std::int64_t waves(std::int64_t capacity, std::int64_t most) const {
    std::int64_t busiest = 0, visited = 0;
    for (std::int64_t d = 0; d < ranks; ++d) {
      busiest = std::max(busiest, pairs_to(d));
      std::int64_t n = 0;
      for (std::int64_t s = 0; s < ranks; ++s) n += visits[at(s, d)];
      visited = std::max(visited, n);
    }
    if (busiest <= capacity) return 1;
    const auto fits = [&](std::int64_t waves) {
      for (std::int64_t d = 0; d < ranks; ++d) {
        std::int64_t n = 0;
        for (std::int64_t s = 0; s < ranks; ++s) n += (visits[at(s, d)] + waves - 1) / waves;
        if (n * most > capacity) return false;
      }
      return true;
    };
    std::int64_t waves = std::max<std::int64_t>(2, visited * most / capacity);
    while (waves < visited && !fits(waves)) ++waves;
    return waves;
  }
};

}  // namespace

std::size_t DispatchPlan::bytes() const {
  std::size_t n = slots.bytes() + tokens.bytes();
  for (const auto& w : waves) n += w.slots.bytes() + w.tokens.bytes() + w.offsets.bytes() + w.weights.bytes();
  return n;
}

std::int64_t planned_rows(std::int64_t tokens, int top_k, int experts, int ranks, double factor) {
  const std::int64_t most = std::min(top_k, experts / ranks), all = tokens * ranks * most;
  if (ranks == 1) return all;
  const double planned = std::ceil(factor * static_cast<double>(tokens) * top_k);
  return planned >= static_cast<double>(all) ? all : std::max(static_cast<std::int64_t>(planned), ranks * most);
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
  const std::int64_t m = std::min(k, ranks);
  plan.slots = Tensor({own, m}, Dtype::i32, stream);
  plan.tokens = Tensor({own * m}, Dtype::i32, stream);
  const Tensor mine({experts + ranks}, Dtype::i64, stream), all({ranks, experts + ranks}, Dtype::i64, stream),
      rank_offsets({ranks + 1}, Dtype::i64, stream);
  {  // pairs by expert, of which only the counts matter, and visits by rank
    const Tensor slots({own, k}, Dtype::i32, stream), pairs({own * k}, Dtype::i32, stream),
        tokens({own * k}, Dtype::i32, stream), offsets({experts + 1}, Dtype::i64, stream),
        visits({own, m}, Dtype::i32, stream);
    kernels::sort_by_expert(stream, indices, slots, pairs, tokens, mine.view().row_range(0, experts), offsets, total);
    kernels::visited_ranks(stream, indices, local, ranks, visits);
    kernels::sort_by_expert(stream, visits, plan.slots, pairs.view().row_range(0, own * m), plan.tokens,
                            mine.view().row_range(experts, experts + ranks), rank_offsets, {});
  }
  ep.all_gather(mine.view().data, all.view().data, static_cast<std::size_t>(experts + ranks), Dtype::i64, stream);
  const Matrix known(tensor::to_host(stream, all), experts);
  const std::int64_t most = std::min(k, local), waves = known.waves(capacity, most), me = ep.rank();
  if (waves > 1) kernels::deal_waves(stream, rank_offsets, waves, plan.slots, plan.tokens);
  std::int64_t begin = 0;
  for (std::int64_t w = 0; w < waves; ++w) {
    DispatchWave& wave = plan.waves.emplace_back();
    for (std::int64_t r = 0; r < ranks; ++r) {
      wave.send_rows.push_back(static_cast<std::size_t>(known.piece(me, r, w, waves)));
      wave.recv_rows.push_back(static_cast<std::size_t>(known.piece(r, me, w, waves)));
    }
    wave.begin = begin;
    wave.sent = sum(wave.send_rows);
    wave.arrived = sum(wave.recv_rows);
    wave.rows = waves == 1 ? known.pairs_to(me) : wave.arrived * most;
    begin += wave.sent;
    Tensor arrived;
    {
      const Tensor packed({wave.sent, 2 * k}, Dtype::i32, stream);
      kernels::pack_choices(stream, indices, weights, plan.tokens.view().row_range(wave.begin, begin), packed);
      arrived = exchange(stream, ep, wave, packed);
    }
    const Tensor choices({wave.arrived, k}, Dtype::i32, stream), their_weights({wave.arrived, k}, Dtype::f32, stream),
        counts({local}, Dtype::i64, stream);
    kernels::unpack_choices(stream, arrived, me * local, local, choices, their_weights);
    sort_arrivals(stream, choices, their_weights, local, counts, {}, wave);
  }
  return plan;
}

Tensor send_to_experts(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                       View x) {
  Tensor arrived;
  if (ep.size() > 1) {
    const Tensor leaving({wave.sent, x.cols()}, x.dtype, stream);
    kernels::gather_rows(stream, x, plan.tokens.view().row_range(wave.begin, wave.begin + wave.sent), leaving);
    arrived = exchange(stream, ep, wave, leaving);
  }
  Tensor rows({wave.rows, x.cols()}, x.dtype, stream);
  kernels::gather_rows(stream, arrived ? arrived.view() : x, wave.tokens.view().row_range(0, wave.rows), rows);
  return rows;
}

void return_from_experts(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                         Tensor rows, Tensor& back) {
  if (ep.size() == 1) {
    back = std::move(rows);
    return;
  }
  const Tensor leaving({wave.arrived, rows.shape()[1]}, rows.view().dtype, stream);
  kernels::combine_rows(stream, rows, wave.slots, {}, false, leaving);
  rows.reset();
  exchange_back(stream, ep, plan, wave, leaving, back);
}

void sum_returned(const Stream& stream, const DispatchPlan& plan, View back, bool accumulate, View y) {
  kernels::combine_rows(stream, back, plan.slots ? plan.slots : plan.waves[0].slots, {}, accumulate, y);
}

void return_weight_gradients(const Stream& stream, Communicator& ep, const DispatchPlan& plan, const DispatchWave& wave,
                             View d_weights, Tensor& back) {
  const View slots = wave.slots;
  Tensor by_choice(slots.shape, Dtype::f32, stream);
  kernels::gather_rows(stream, d_weights, slots.reshape({slots.numel()}), by_choice.view().reshape({slots.numel(), 1}));
  if (ep.size() == 1)
    back = std::move(by_choice);
  else
    exchange_back(stream, ep, plan, wave, by_choice, back);
}

Tensor weight_gradients(const Stream& stream, const DispatchPlan& plan, Tensor back) {
  if (!plan.slots) return back;
  Tensor out({plan.slots.shape()[0], back.shape()[1]}, Dtype::f32, stream);
  kernels::combine_rows(stream, back, plan.slots, {}, false, out);
  return out;
}

}  // namespace eddy::parallel
