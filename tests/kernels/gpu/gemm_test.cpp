// gemm on the GPU against the CPU: types, transpositions, strides, odd extents and addresses.
#include "kernels/gemm/gemm.h"

#include <cstring>
#include <limits>
#include <tuple>

#include "base/error.h"
#include "gpu_test.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Values [rows, cols] in a wider matrix from column `begin` on, with NaN around them: on the host, and on the GPU as
/// `dtype`.
struct Matrix {
  std::int64_t begin, cols;
  Tensor host, there;
  Matrix(const GpuStream& gpu, std::int64_t rows, std::int64_t columns, unsigned seed, Dtype dtype, int gap)
      : begin(gap), cols(columns), host({rows, columns + 2 * gap}) {
    const Tensor values = random_tensor({rows, columns}, seed, dtype);
    for (std::int64_t i = 0; i < host.view().numel(); ++i) host.f32()[i] = kNan;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < columns; ++i)
        host.f32()[r * host.view().row_stride + begin + i] = values.f32()[r * columns + i];
    there = upload(gpu, host, dtype);
  }
  View on_cpu() const { return host.view().col_range(begin, begin + cols); }
  View on_gpu() const { return there.view().col_range(begin, begin + cols); }
  void poison(const GpuStream& gpu) {
    for (std::int64_t i = 0; i < host.view().numel(); ++i) host.f32()[i] = kNan;
    there = upload(gpu, host, there.view().dtype);
  }
  /// How far the GPU's values are from the host's; infinite where it wrote beside the matrix or left a NaN in it.
  double distance(const GpuStream& gpu) const {
    const Tensor all = download(gpu, there);
    const std::int64_t rows = host.view().rows(), width = cols + 2 * begin;
    Tensor got({rows, cols}), expected({rows, cols});
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < width; ++i) {
        const float v = all.f32()[r * width + i];
        const bool inside = i >= begin && i < begin + cols;
        if (!inside && !std::isnan(v)) return INFINITY;
        if (!inside) continue;
        got.f32()[r * cols + i - begin] = v;
        expected.f32()[r * cols + i - begin] = host.f32()[r * width + i];
      }
    return relative_error(got, expected);
  }
};

struct Types {
  Dtype a, b, c;
  double tolerance;
};
constexpr Dtype f = Dtype::f32, h = Dtype::bf16;
// float32 sums of some hundred products differ by their order; a bf16 result is rounded once, and so is an operand
// that becomes bf16; an operand as two bf16 keeps 16 bits.
const std::vector<Types> kTypes = {{f, f, f, 2e-6}, {h, h, h, 4e-3}, {h, h, f, 2e-6}, {f, h, h, 6e-3},
                                   {h, f, h, 6e-3}, {f, f, h, 6e-3}, {f, h, f, 1e-5}, {h, f, f, 1e-5}};

void compare(const GpuStream& gpu, std::int64_t m, std::int64_t n, std::int64_t k, bool ta, bool tb, const Types& types,
             int gap, float alpha, float beta, bool residual) {
  const Matrix a(gpu, ta ? k : m, ta ? m : k, 1, types.a, gap), b(gpu, tb ? n : k, tb ? k : n, 2, types.b, gap),
      d(gpu, m, n, 3, types.c, gap);
  Matrix c(gpu, m, n, 4, types.c, gap);
  if (beta == 0 || residual) c.poison(gpu);
  gemm({}, a.on_cpu(), ta, b.on_cpu(), tb, c.on_cpu(), alpha, beta, residual ? d.on_cpu() : View());
  gemm(gpu, a.on_gpu(), ta, b.on_gpu(), tb, c.on_gpu(), alpha, beta, residual ? d.on_gpu() : View());
  INFO("m " << m << " n " << n << " k " << k << (ta ? " A^T" : "") << (tb ? " B^T" : "") << " types "
            << eddy::name_of(types.a) << " " << eddy::name_of(types.b) << " " << eddy::name_of(types.c) << " gap "
            << gap << " alpha " << alpha << " beta " << beta << (residual ? " residual" : ""));
  CHECK(c.distance(gpu) < types.tolerance);
}
}  // namespace

TEST_CASE("gemm on the GPU: types, transpositions, aligned extents") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& types : kTypes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        compare(*gpu, 128, 192, 256, ta, tb, types, 0, 1, 0, false);
        compare(*gpu, 64, 72, 136, ta, tb, types, 8, 0.5f, 1, false);
      }
}

TEST_CASE("gemm on the GPU: odd extents, strides and addresses") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& types : kTypes)
    for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {1, 67, 129}, {65, 1, 31}, {33, 65, 1}, {129, 67, 253}})
      for (const bool ta : {false, true})
        for (const bool tb : {false, true})
          compare(*gpu, m, n, k, ta, tb, types, (m + n) % 2 ? 3 : 1, 1, m * n == 1 ? 0 : 1, false);
}

TEST_CASE("gemm on the GPU: beta and a residual") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& types : kTypes)
    for (const float beta : {0.f, 1.f, -0.5f})
      for (const int gap : {0, 3}) {
        compare(*gpu, 96, 104, 64, false, true, types, gap, 1.5f, beta, false);
        compare(*gpu, 96, 104, 64, false, true, types, gap, 1.5f, beta, true);
      }
}

TEST_CASE("gemm on the GPU: no rows, no columns, nothing to sum over") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& types : kTypes) {
    compare(*gpu, 0, 5, 3, false, false, types, 0, 1, 0, false);
    compare(*gpu, 5, 0, 3, false, true, types, 0, 1, 1, false);
    for (const float beta : {0.f, 1.f, 0.5f}) {
      compare(*gpu, 5, 7, 0, false, true, types, 1, 1, beta, false);
      compare(*gpu, 5, 7, 0, true, false, types, 1, 1, beta, true);
    }
  }
}

TEST_CASE("gemm on the GPU: a float32 product is not made of TF32") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  Tensor one({16, 16});
  one.fill_zero();
  for (int i = 0; i < 16; ++i) one.f32()[i * 17] = 1;
  const Tensor x = random_tensor({16, 16}, 5), a = upload(*gpu, x), b = upload(*gpu, one);
  Tensor c({16, 16}, Dtype::f32, *gpu);
  gemm(*gpu, a, false, b, false, c);
  CHECK(relative_error(download(*gpu, c), x) == 0);
}

TEST_CASE("gemm on the GPU: the same product gives the same bits") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& types : kTypes) {  // a deep, small product: what would be split along its depth
    const Tensor a = upload(*gpu, random_tensor({8192, 72}, 1), types.a),
                 b = upload(*gpu, random_tensor({8192, 40}, 2), types.b);
    std::vector<std::uint32_t> first;
    for (int run = 0; run < 3; ++run) {
      Tensor c = Tensor::zeros({72, 40}, types.c, *gpu);
      gemm(*gpu, a, true, b, false, c, 1, 1);
      const Tensor got = download(*gpu, c);
      std::vector<std::uint32_t> bits(72 * 40);
      std::memcpy(bits.data(), got.f32(), bits.size() * 4);
      if (run == 0) first = bits;
      CHECK((bits == first));
    }
  }
}

TEST_CASE("gemm on the GPU: shapes and types that do not fit are refused") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor a({2, 3}, f, *gpu), b({4, 2}, f, *gpu), c({2, 2}, f, *gpu), d({2, 2}, h, *gpu),
      i({3, 2}, Dtype::i32, *gpu);
  CHECK_THROWS_AS(gemm(*gpu, a, false, b, false, c), eddy::Error);
  CHECK_THROWS_AS(gemm(*gpu, a, false, i, false, c), eddy::Error);
  CHECK_THROWS_AS(gemm(*gpu, a, false, a, true, c, 1, 1, d), eddy::Error);
}
