// e4m3 by its definition; blocks of 128 x 128 at ragged edges; what was FP8 comes back byte for byte.
#include "hf/fp8.h"

#include <cmath>
#include <random>

#include "catch.h"

using namespace eddy;
using namespace eddy::hf;

namespace {

/// OCP 8-bit floating point, E4M3: s eeee mmm, bias 7, no infinities.
double defined(int bits) {
  const int e = (bits >> 3) & 15, m = bits & 7;
  const double v = e == 0 ? std::ldexp(m / 8.0, -6) : std::ldexp(1 + m / 8.0, e - 7);
  return bits & 0x80 ? -v : v;
}

/// A matrix of bytes without NaN, and scales of some 10^-4.
struct Matrix {
  std::int64_t rows, cols;
  std::vector<std::uint8_t> q;
  std::vector<float> scales;
  Matrix(std::int64_t r, std::int64_t c, unsigned seed) : rows(r), cols(c) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 110);
    std::uniform_real_distribution<float> scale(1e-4f, 9e-4f);
    for (std::int64_t i = 0; i < r * c; ++i) q.push_back(float_to_fp8(normal(random)));
    for (std::int64_t i = 0; i < fp8_blocks(r) * fp8_blocks(c); ++i) scales.push_back(scale(random));
  }
  float scale_at(std::int64_t r, std::int64_t c) const {
    return scales[static_cast<std::size_t>(r / 128 * fp8_blocks(cols) + c / 128)];
  }
  std::vector<std::uint16_t> bf16() const {
    std::vector<std::uint16_t> out(q.size());
    dequantise(q.data(), scales.data(), cols, 0, rows * cols, out.data());
    return out;
  }
};

const std::vector<std::pair<std::int64_t, std::int64_t>> kShapes{{1, 1},     {128, 128}, {129, 127}, {192, 256},
                                                                 {256, 192}, {7, 300},   {300, 7},   {385, 141}};

}  // namespace

TEST_CASE("all numbers of e4m3, and the nearest of any other") {
  for (int b = 0; b < 256; ++b) {
    const auto bits = static_cast<std::uint8_t>(b);
    if ((b & 0x7f) == 0x7f) {
      CHECK(std::isnan(fp8_to_float(bits)));
      continue;
    }
    CHECK(static_cast<double>(fp8_to_float(bits)) == defined(b));
    CHECK(float_to_fp8(fp8_to_float(bits)) == bits);
  }
  CHECK(std::signbit(fp8_to_float(0x80)));
  CHECK(float_to_fp8(1e9f) == 0x7e);
  CHECK(float_to_fp8(-INFINITY) == 0xfe);
  CHECK((float_to_fp8(NAN) & 0x7f) == 0x7f);
  int wrong = 0;
  for (int b = 0; b < 0x7e; ++b) {  // between neighbours: ties go to the even one
    const double low = defined(b), high = defined(b + 1), middle = (low + high) / 2;
    const auto low_bits = static_cast<std::uint8_t>(b), high_bits = static_cast<std::uint8_t>(b + 1);
    wrong += float_to_fp8(static_cast<float>(middle)) != (b % 2 == 0 ? low_bits : high_bits);
    wrong += float_to_fp8(std::nextafter(static_cast<float>(middle), 0.0f)) != low_bits;
    wrong += float_to_fp8(std::nextafter(static_cast<float>(middle), 1e3f)) != high_bits;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dequantised: a float32 product rounded to bfloat16, whatever part of the matrix is asked for") {
  int wrong = 0;
  for (const auto& [rows, cols] : kShapes) {
    const Matrix m(rows, cols, 1);
    const std::int64_t n = rows * cols;
    for (const auto& [first, count] :
         {std::pair{std::int64_t{0}, n}, std::pair{n / 3, n / 2}, std::pair{n - 1, std::int64_t{1}}}) {
      std::vector<std::uint16_t> half(static_cast<std::size_t>(count));
      std::vector<float> full(half.size());
      dequantise(m.q.data() + first, m.scales.data(), cols, first, count, half.data());
      dequantise(m.q.data() + first, m.scales.data(), cols, first, count, full.data());
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t at = first + i;
        const float product =
            static_cast<float>(defined(m.q[static_cast<std::size_t>(at)])) * m.scale_at(at / cols, at % cols);
        wrong += half[static_cast<std::size_t>(i)] != float_to_bf16(product);
        wrong += full[static_cast<std::size_t>(i)] != bf16_to_float(float_to_bf16(product));
      }
    }
  }
  CHECK(wrong == 0);
  std::vector<std::uint8_t> every(256);
  for (int b = 0; b < 256; ++b) every[static_cast<std::size_t>(b)] = static_cast<std::uint8_t>(b);
  for (const float scale : {1e-38f, 3e-40f, 1e-30f, 0.37f, 1e30f, 3e37f, 0.0f}) {  // usable or not
    const float scales[2] = {scale, scale};
    std::vector<std::uint16_t> out(256);
    dequantise(every.data(), scales, 256, 0, 256, out.data());
    for (int b = 0; b < 256; ++b)
      if ((b & 0x7f) == 0x7f)
        wrong += !std::isnan(bf16_to_float(out[static_cast<std::size_t>(b)]));
      else
        wrong += out[static_cast<std::size_t>(b)] != float_to_bf16(static_cast<float>(defined(b)) * scale);
  }
  CHECK(wrong == 0);
}

TEST_CASE("with the scales kept every block gives back its bytes; a changed one gets a scale of its own") {
  for (const auto& [rows, cols] : kShapes) {
    const Matrix m(rows, cols, 2);
    std::vector<std::uint16_t> values = m.bf16();
    std::vector<std::uint8_t> q(m.q.size());
    std::vector<float> scales(m.scales.size());
    CHECK(quantise(values.data(), rows, cols, {m.scales.data(), false}, q.data(), scales.data()));
    CHECK(q == m.q);
    CHECK(scales == m.scales);
    std::vector<float> wide;
    for (const std::uint16_t v : values) wide.push_back(bf16_to_float(v));
    CHECK(quantise(wide.data(), rows, cols, {m.scales.data(), false}, q.data(), scales.data()));
    CHECK((q == m.q && scales == m.scales));
    values.back() = float_to_bf16(1.0f);  // far beyond 448 scales
    CHECK(quantise(values.data(), rows, cols, {m.scales.data(), false}, q.data(), scales.data()));
    CHECK(scales.back() == 1.0f / 448);
    CHECK(q.back() == 0x7e);
    scales.back() = m.scales.back();
    CHECK(scales == m.scales);
  }
}

TEST_CASE("a new scale is the largest magnitude over 448") {
  const std::int64_t rows = 130, cols = 200;
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(i)) * static_cast<float>(i % 7);
  std::vector<std::uint8_t> q(values.size());
  std::vector<float> scales(4);
  CHECK(quantise(values.data(), rows, cols, {}, q.data(), scales.data()));
  int wrong = 0;
  float most[4] = {};
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    float& m = most[i / cols / 128 * 2 + i % cols / 128];
    m = std::max(m, std::abs(values[static_cast<std::size_t>(i)]));
  }
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    const std::int64_t block = i / cols / 128 * 2 + i % cols / 128;
    wrong += scales[static_cast<std::size_t>(block)] != most[block] / 448;
    wrong += q[static_cast<std::size_t>(i)] != float_to_fp8(values[static_cast<std::size_t>(i)] / (most[block] / 448));
  }
  CHECK(wrong == 0);
  CHECK(quantise(values.data(), rows, cols, {nullptr, true}, q.data(), scales.data()));
  for (std::size_t b = 0; b < 4; ++b) {
    int exponent;
    CHECK(std::frexp(scales[b], &exponent) == 0.5f);
    CHECK((scales[b] >= most[b] / 448 && scales[b] < most[b] / 224));
  }
  values[77] = NAN;
  CHECK_FALSE(quantise(values.data(), rows, cols, {}, q.data(), scales.data()));
  const std::vector<float> zeros(values.size());
  CHECK(quantise(zeros.data(), rows, cols, {}, q.data(), scales.data()));
  CHECK((scales[0] == 1 && q[0] == 0));
}

TEST_CASE("what DeepSeek quantises") {
  for (const char* name :
       {"model.layers.0.mlp.down_proj.weight", "model.layers.61.mlp.experts.255.up_proj.weight",
        "model.layers.3.mlp.shared_experts.gate_proj.weight", "model.layers.3.self_attn.q_b_proj.weight",
        "model.layers.3.self_attn.kv_a_proj_with_mqa.weight"})
    CHECK(is_quantised_in_fp8(name));
  for (const char* name : {"lm_head.weight", "model.embed_tokens.weight", "model.layers.3.mlp.gate.weight",
                           "model.layers.61.eh_proj.weight", "model.layers.3.mlp.gate.e_score_correction_bias",
                           "model.layers.3.self_attn.kv_a_layernorm.weight"})
    CHECK_FALSE(is_quantised_in_fp8(name));
}
