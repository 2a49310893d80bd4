#pragma once
// Tokens to the ranks of their experts and back against the sums written out; balanced and as skewed as can be, in one
// wave and in several.
#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "catch.h"
#include "parallel/dispatch.h"
#include "parallel/traffic.h"

namespace eddy_test {
using eddy::Dtype;
using eddy::tensor::Tensor;
using eddy::tensor::to_device;
using eddy::tensor::to_host;

inline constexpr std::int64_t kTokens = 23, kChoices = 3, kWidth = 5;
inline constexpr int kExpertsPerRank = 4;

enum class Choice { any, skewed, one_rank };

/// Distinct experts of a rank's token, the last choice of every fifth token and all of every seventh missing.
inline std::vector<std::int32_t> choices(int rank, std::int64_t token, int experts, Choice choice) {
  std::vector<std::int32_t> out;
  const int most = choice == Choice::one_rank ? kExpertsPerRank : experts;
  for (std::uint64_t i = 0; static_cast<int>(out.size()) < kChoices; ++i) {
    const auto draw = eddy::philox(static_cast<std::uint64_t>(1000 * rank + token), i)[0];
    const auto expert = static_cast<std::int32_t>(
        choice == Choice::skewed && i < 2 ? draw % kExpertsPerRank : draw % static_cast<unsigned>(most));
    if (std::find(out.begin(), out.end(), expert) == out.end()) out.push_back(expert);
  }
  if (token % 5 == 4) out.back() = -1;
  if (token % 7 == 6) out.assign(kChoices, -1);
  return out;
}
inline float weight(std::int64_t token, std::int64_t choice) {
  return 0.25f * static_cast<float>(1 + (token * 3 + choice) % 7);
}
/// Small integers: sums of them are exact in any order.
inline float value(int rank, std::int64_t token, std::int64_t column) {
  return static_cast<float>((rank * 31 + token * 7 + column * 3) % 64 - 20);
}
/// What an expert makes of a row, times the row's weight: a power of two a few experts long, so that sums stay exact.
inline float factor(int expert) {
  return static_cast<float>(1 << expert % 4);
}

/// Sends, lets "experts" multiply on the host, returns; compares with the sums written out.
inline void exchange_and_compare(const eddy::device::Stream& stream, eddy::comm::Communicator& ep) {
  using namespace eddy::parallel;  // NOLINT
  const int ranks = ep.size(), me = ep.rank(), experts = ranks * kExpertsPerRank;
  for (const Choice choice : {Choice::any, Choice::skewed, Choice::one_rank})
    for (const double capacity_factor : {100., 1., 0.4, 0.}) {
      CAPTURE(static_cast<int>(choice), capacity_factor);
      const Tensor indices({kTokens, kChoices}, Dtype::i32), weights({kTokens, kChoices}), x({kTokens, kWidth});
      for (std::int64_t t = 0; t < kTokens; ++t) {
        const auto own = choices(me, t, experts, choice);
        for (std::int64_t j = 0; j < kChoices; ++j) {
          indices.i32()[t * kChoices + j] = own[static_cast<std::size_t>(j)];
          weights.f32()[t * kChoices + j] = weight(t, j);
        }
        for (std::int64_t i = 0; i < kWidth; ++i) x.f32()[t * kWidth + i] = value(me, t, i);
      }
      const std::int64_t capacity = planned_rows(kTokens, kChoices, experts, ranks, capacity_factor);
      const Tensor total = Tensor::zeros({experts}, Dtype::i64, stream), x_there = to_device(stream, x);
      const std::uint64_t sent_before = ep.bytes_sent();
      const auto plan =
          plan_dispatch(stream, ep, to_device(stream, indices), to_device(stream, weights), experts, capacity, total);
      std::uint64_t predicted = all_gather_bytes(ranks, static_cast<std::uint64_t>(experts + ranks) * 8);

      const auto own_waves = static_cast<std::int64_t>(plan.waves.size());
      std::int64_t waves[2] = {own_waves, -own_waves};
      ep.all_reduce(waves, 2, Dtype::i64, eddy::comm::Reduce::max);
      predicted += all_reduce_bytes(ranks, 16);
      if (waves[0] > 1) predicted += all_gather_bytes(ranks, static_cast<std::uint64_t>(ranks) * kChoices * 8);
      CHECK(waves[0] == -waves[1]);  // agreed
      if (ranks == 1 || capacity_factor == 100) CHECK(waves[0] == 1);
      if (ranks > 1 && choice == Choice::one_rank && capacity_factor <= 1) CHECK(waves[0] > 1);

      Tensor back, back_weights;
      std::int64_t rows_seen = 0;
      for (const auto& wave : plan.waves) {
        const Tensor offsets_here = to_host(stream, wave.offsets), row_weights = to_host(stream, wave.weights);
        const std::int64_t* offsets = offsets_here.view().as<std::int64_t>();
        CHECK(wave.rows <= capacity);
        if (ranks == 1 && stream.on_gpu())
          CHECK(offsets[kExpertsPerRank] <= wave.rows);
        else
          CHECK(offsets[kExpertsPerRank] == wave.rows);
        rows_seen += offsets[kExpertsPerRank];
        Transit coming = begin_to_experts(stream, ep, plan, wave, x_there);
        Tensor rows = to_host(stream, receive_at_experts(stream, wave, x_there, std::move(coming)));
        const Tensor d_weights({wave.rows, 1});
        REQUIRE(rows.shape() == eddy::tensor::Shape{wave.rows, kWidth});
        for (int e = 0; e < kExpertsPerRank; ++e)
          for (std::int64_t r = offsets[e]; r < offsets[e + 1]; ++r) {
            d_weights.f32()[r] = rows.f32()[r * kWidth] * factor(me * kExpertsPerRank + e);
            for (std::int64_t i = 0; i < kWidth; ++i)
              rows.f32()[r * kWidth + i] *= factor(me * kExpertsPerRank + e) * row_weights.f32()[r];
          }
        Transit going = begin_from_experts(stream, ep, plan, wave, to_device(stream, rows), back);
        end_transit(stream, begin_weight_gradients(stream, ep, plan, wave, to_device(stream, d_weights), back_weights));
        end_transit(stream, std::move(going));
        const auto away = [&](const std::vector<std::size_t>& counts) {
          std::uint64_t n = 0;
          for (std::size_t r = 0; r < counts.size(); ++r) n += r == static_cast<std::size_t>(me) ? 0 : counts[r];
          return n;
        };
        predicted += 4 * (away(wave.send_rows) * (2 * kChoices + kWidth) + away(wave.recv_rows) * (kWidth + kChoices));
      }
      CHECK(ep.bytes_sent() - sent_before == predicted);
      const Tensor before({kTokens, kWidth});
      std::fill_n(before.f32(), kTokens * kWidth, 1000.f);
      const Tensor y_there = to_device(stream, before);
      sum_returned(stream, plan, back, true, y_there);
      const Tensor y = to_host(stream, y_there),
                   d = to_host(stream, weight_gradients(stream, plan, std::move(back_weights)));

      std::vector<std::int64_t> counts(static_cast<std::size_t>(experts));
      std::int64_t mine = 0;
      bool sums_right = true, gradients_right = true;
      for (int r = 0; r < ranks; ++r)
        for (std::int64_t t = 0; t < kTokens; ++t) {
          const auto chosen = choices(r, t, experts, choice);
          for (const auto e : chosen) mine += e >= 0 && e / kExpertsPerRank == me;
          if (r != me) continue;
          for (std::int64_t i = 0; i < kWidth; ++i) {
            float want = 1000;
            for (std::int64_t j = 0; j < kChoices; ++j) {
              const auto e = chosen[static_cast<std::size_t>(j)];
              if (e < 0) continue;
              want += weight(t, j) * factor(e) * value(r, t, i);
              if (i == 0) {
                ++counts[static_cast<std::size_t>(e)];
                gradients_right &= d.f32()[t * kChoices + j] == value(r, t, 0) * factor(e);
              }
            }
            sums_right &= y.f32()[t * kWidth + i] == want;
          }
          for (std::int64_t j = 0; j < kChoices; ++j)
            if (chosen[static_cast<std::size_t>(j)] < 0) gradients_right &= d.f32()[t * kChoices + j] == 0;
        }
      CHECK(sums_right);
      CHECK(gradients_right);
      CHECK(rows_seen == mine);  // none dropped, none twice
      CHECK(std::equal(counts.begin(), counts.end(), to_host(stream, total).view().as<std::int64_t>()));
    }
}

}  // namespace eddy_test
