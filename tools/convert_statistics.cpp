#include "convert_statistics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "base/hash.h"
#include "hf/fp8.h"

namespace eddy::convert {
namespace {

std::int64_t row_elements(const Item& item) {
  const std::int64_t rows = item.shape.empty() ? 1 : item.shape[0];
  return rows ? item.elements() / rows : 0;
}

/// Stored elements as float32; the matrix's rows begin at `first`.
void widen(const Item& item, const std::vector<float>& scales, const char* from, std::int64_t first, std::size_t count,
           float* out) {
  const auto each = [&](auto zero) {
    for (std::size_t i = 0; i < count; ++i) {
      auto v = zero;
      std::memcpy(&v, from + i * sizeof v, sizeof v);
      out[i] = static_cast<float>(v);
    }
  };
  switch (item.dtype) {
    case Dtype::f8e4m3: {
      const auto* q = reinterpret_cast<const std::uint8_t*>(from);
      if (scales.empty())
        for (std::size_t i = 0; i < count; ++i) out[i] = hf::fp8_to_float(q[i]);
      else
        hf::dequantise(q, scales.data(), item.shape[1], first * item.shape[1], static_cast<std::int64_t>(count), out);
      return;
    }
    case Dtype::bf16:
      for (std::size_t i = 0; i < count; ++i) {
        std::uint16_t bits;
        std::memcpy(&bits, from + 2 * i, 2);
        out[i] = bf16_to_float(bits);
      }
      return;
    case Dtype::f32:
      std::memcpy(out, from, count * 4);
      return;
    case Dtype::f64:
      return each(0.0);
    case Dtype::i32:
      return each(std::int32_t{0});
    case Dtype::i64:
      return each(std::int64_t{0});
    default:
      return each(std::uint8_t{0});
  }
}

/// Sums in eight lanes, which the compiler makes vectors of.
class Moments {
 public:
  void add(const float* x, std::size_t n, Statistics& s) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      bool finite = true;
      for (std::size_t k = 0; k < 8; ++k) finite &= std::abs(x[i + k]) <= std::numeric_limits<float>::max();
      if (!finite) {
        for (std::size_t k = 0; k < 8; ++k) one(x[i + k], s);
        continue;
      }
      for (std::size_t k = 0; k < 8; ++k) {
        const double v = static_cast<double>(x[i + k]), v2 = v * v;
        sum_[k] += v;
        sum2_[k] += v2;
        sum3_[k] += v2 * v;
        sum4_[k] += v2 * v2;
        least_[k] = std::min(least_[k], v);
        most_[k] = std::max(most_[k], v);
        zeros_[k] += x[i + k] == 0;
      }
    }
    for (; i < n; ++i) one(x[i], s);
  }
  void finish(Statistics& s) const {
    double sum = 0, sum2 = 0, sum3 = 0, sum4 = 0;
    s.min = std::numeric_limits<double>::infinity();
    s.max = -s.min;
    for (std::size_t k = 0; k < 8; ++k) {
      sum += sum_[k];
      sum2 += sum2_[k];
      sum3 += sum3_[k];
      sum4 += sum4_[k];
      s.min = std::min(s.min, least_[k]);
      s.max = std::max(s.max, most_[k]);
      s.zeros += zeros_[k];
    }
    const auto n = static_cast<double>(s.count - s.nans - s.infinities);
    if (n == 0) return;
    s.norm = std::sqrt(sum2);
    s.mean = sum / n;
    const double m = s.mean, variance = std::max(0.0, sum2 / n - m * m);
    s.std = std::sqrt(variance);
    if (variance > 0)
      s.kurtosis = (sum4 / n - 4 * m * sum3 / n + 6 * m * m * sum2 / n - 3 * m * m * m * m) / (variance * variance);
  }

 private:
  void one(float x, Statistics& s) {
    if (std::isnan(x)) {
      ++s.nans;
    } else if (std::isinf(x)) {
      ++s.infinities;
    } else {
      const double v = static_cast<double>(x);
      sum_[0] += v;
      sum2_[0] += v * v;
      sum3_[0] += v * v * v;
      sum4_[0] += v * v * v * v;
      least_[0] = std::min(least_[0], v);
      most_[0] = std::max(most_[0], v);
      zeros_[0] += x == 0;
    }
  }
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::array<double, 8> sum_{}, sum2_{}, sum3_{}, sum4_{};
  std::array<double, 8> least_{kInfinity, kInfinity, kInfinity, kInfinity, kInfinity, kInfinity, kInfinity, kInfinity};
  std::array<double, 8> most_{-kInfinity, -kInfinity, -kInfinity, -kInfinity,
                              -kInfinity, -kInfinity, -kInfinity, -kInfinity};
  std::array<std::int64_t, 8> zeros_{};
};

void count_blocks(const std::uint8_t* q, std::int64_t rows, std::int64_t cols, Statistics& s) {
  for (std::int64_t r0 = 0; r0 < rows; r0 += hf::kFp8Block)
    for (std::int64_t c0 = 0; c0 < cols; c0 += hf::kFp8Block) {
      std::uint8_t most = 0;
      for (std::int64_t r = r0; r < std::min(rows, r0 + hf::kFp8Block); ++r)
        for (std::int64_t c = c0; c < std::min(cols, c0 + hf::kFp8Block); ++c)
          most = std::max<std::uint8_t>(most, q[r * cols + c] & 0x7f);  // bits are ordered as magnitudes
      ++s.blocks;
      s.loose_blocks += most < 0x76;  // 224
    }
}

std::vector<float> scales_of(const Contents& contents, const std::string& name) {
  const Item& item = contents.items().at(name);
  if (item.dtype != Dtype::f8e4m3 || item.shape.size() != 2 || !contents.has(hf::scale_name(name))) return {};
  return contents.scales(name);
}

}  // namespace

Statistics statistics_of(const Contents& contents, const std::string& name) {
  const Item& item = contents.items().at(name);
  Statistics s;
  s.count = item.elements();
  const std::vector<float> scales = scales_of(contents, name);
  if (!scales.empty()) {
    std::vector<float> sorted = scales;
    std::sort(sorted.begin(), sorted.end());
    s.least_scale = static_cast<double>(sorted.front());
    s.median_scale = static_cast<double>(sorted[sorted.size() / 2]);
    s.largest_scale = static_cast<double>(sorted.back());
  }
  const std::int64_t rows = item.shape.empty() ? 1 : item.shape[0], row = row_elements(item);
  const std::int64_t most =
      std::max<std::int64_t>(1, (std::int64_t{4} << 20) / std::max<std::int64_t>(1, row * hf::kFp8Block)) *
      hf::kFp8Block;
  Xxh3Stream hash;
  Moments moments;
  std::vector<char> raw;
  std::vector<float> values;
  for (std::int64_t r = 0; r < rows && row > 0; r += most) {
    const std::int64_t n = std::min(most, rows - r);
    const auto count = static_cast<std::size_t>(n * row);
    raw.resize(count * size_of(item.dtype));
    values.resize(count);
    contents.read(name, r, n, raw.data());
    hash.update(raw.data(), raw.size());
    widen(item, scales, raw.data(), r, count, values.data());
    moments.add(values.data(), count, s);
    if (!scales.empty()) count_blocks(reinterpret_cast<const std::uint8_t*>(raw.data()), n, row, s);
  }
  if (!scales.empty()) hash.update(scales.data(), scales.size() * sizeof(float));
  s.hash = hash.digest();
  moments.finish(s);
  return s;
}

void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto loop = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back(loop);
    loop();
  }
  if (failure) std::rethrow_exception(failure);
}

std::map<std::string, Statistics> all_statistics(const Contents& contents, const std::vector<std::string>& names,
                                                 int threads, const std::function<void(std::uint64_t)>& progress) {
  std::map<std::string, Statistics> out;
  std::mutex mutex;
  std::uint64_t done = 0;
  in_parallel(names.size(), threads, [&](std::size_t i) {
    const Statistics s = statistics_of(contents, names[i]);
    const std::lock_guard lock(mutex);
    out[names[i]] = s;
    if (progress) progress(done += contents.items().at(names[i]).bytes());
  });
  return out;
}

void read_as_f32(const Contents& contents, const std::string& name, std::int64_t first, std::int64_t rows,
                 std::vector<float>& out) {
  const Item& item = contents.items().at(name);
  const auto count = static_cast<std::size_t>(rows * row_elements(item));
  std::vector<char> raw(count * size_of(item.dtype));
  out.resize(count);
  if (count == 0) return;
  contents.read(name, first, rows, raw.data());
  widen(item, scales_of(contents, name), raw.data(), first, count, out.data());
}

}  // namespace eddy::convert
