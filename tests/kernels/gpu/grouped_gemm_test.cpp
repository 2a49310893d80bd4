// The experts' products on the GPU against the CPU: each way, all modes, groups of any size, rows that nobody owns.
#include "kernels/grouped_gemm/grouped_gemm.h"

#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "gpu_test.h"
#include "kernels/grouped_gemm/grouped_gemm_cuda.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
using Offsets = std::vector<std::int64_t>;

struct Case {
  const char* what;
  std::int64_t n, k;
  Offsets offsets;
  int gap;  // elements beside each row, on both sides, and behind each expert's matrix
};
Offsets many_experts() {  // more than the 32 that a warp looks at at once; the first two, the last and each fifth empty
  Offsets o{0};
  for (std::int64_t e = 0; e < 70; ++e) o.push_back(o.back() + (e < 2 || e % 5 == 0 || e == 69 ? 0 : 1 + e * 7 % 23));
  return o;
}
Offsets twenty_experts() {  // with six tiles each: blocks that stay come to several experts
  Offsets o{0};
  for (std::int64_t e = 0; e < 20; ++e) o.push_back(o.back() + e * 5 % 41);
  return o;
}
/// Strides and addresses of multiples of 16 bytes in each (n, k, gap multiples of 8): Hopper's way takes these.
const std::vector<Case> kAligned = {{"one expert", 128, 64, {0, 128}, 0},
                                    {"whole tiles", 256, 128, {0, 128, 384, 512}, 0},
                                    {"unequal groups", 136, 72, {0, 130, 130, 131, 400, 403}, 8},
                                    {"deep and wide", 392, 520, {0, 300, 300, 428, 901}, 0},
                                    {"single rows", 264, 200, {0, 1, 2, 3, 4}, 16},
                                    {"no rows at all", 64, 64, {0, 0, 0, 0}, 0},
                                    {"many experts", 72, 40, many_experts(), 8},
                                    {"more tiles than blocks, high", 1536, 72, twenty_experts(), 0},
                                    {"more tiles than blocks, wide", 72, 1536, twenty_experts(), 0}};
const std::vector<Case> kOdd = {
    {"tiny", 3, 5, {0, 2, 2, 7, 8}, 0},         {"one by one", 1, 1, {0, 0, 3}, 1},
    {"odd", 131, 67, {0, 0, 129, 130, 391}, 3}, {"odd addresses alone", 64, 96, {0, 70, 200}, 1},
    {"no rows at all", 7, 9, {0, 0}, 2},        {"many experts", 13, 29, many_experts(), 1}};

void set_nan(Tensor& t) {
  for (std::int64_t i = 0; i < t.view().numel(); ++i) t.f32()[i] = kNan;
}

/// Rows [rows, cols], the first `owned` of them with values and all else NaN, in a wider matrix.
struct RowsOf {
  std::int64_t cols, gap;
  Tensor host, there;
  RowsOf(const GpuStream& gpu, std::int64_t rows, std::int64_t owned, std::int64_t columns, int side, unsigned seed,
         Dtype dtype)
      : cols(columns), gap(side), host({rows, columns + 2 * side}) {
    const Tensor values = random_tensor({owned, columns}, seed, dtype);
    set_nan(host);
    for (std::int64_t r = 0; r < owned; ++r)
      for (std::int64_t i = 0; i < columns; ++i) host.f32()[r * width() + gap + i] = values.f32()[r * columns + i];
    there = upload(gpu, host, dtype);
  }
  std::int64_t width() const { return cols + 2 * gap; }
  View on_cpu() const { return host.view().col_range(gap, gap + cols); }
  View on_gpu() const { return there.view().col_range(gap, gap + cols); }
};
/// Experts' matrices [E, n, k], `gap` elements behind each.
struct Matrices {
  std::int64_t experts, n, k, stride;
  Tensor host, there;
  Matrices(const GpuStream& gpu, const Case& c, unsigned seed, Dtype dtype)
      : experts(static_cast<std::int64_t>(c.offsets.size()) - 1),
        n(c.n),
        k(c.k),
        stride(c.n * c.k + c.gap),
        host(random_tensor({experts, stride}, seed, dtype)) {
    for (std::int64_t e = 0; e < experts; ++e)
      for (std::int64_t i = n * k; i < stride; ++i) host.f32()[e * stride + i] = kNan;
    there = upload(gpu, host, dtype);
  }
  View seen(const Tensor& t) const {
    View v(t.view().data, t.view().dtype, {experts, n, k});
    v.row_stride = stride;
    return v;
  }
  View on_cpu() const { return seen(host); }
  View on_gpu() const { return seen(there); }
};

/// ‖got - expected‖ / ‖expected‖ over the elements that are expected to hold a value; infinite where one that is to
/// stay NaN does not, or the reverse.
double distance(const GpuStream& gpu, const Tensor& there, const Tensor& expected) {
  const Tensor got = download(gpu, there);
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < expected.view().numel(); ++i) {
    const double e = expected.f32()[i], g = got.f32()[i];
    if (std::isnan(e) != std::isnan(g)) return INFINITY;
    if (std::isnan(e)) continue;
    difference += (g - e) * (g - e);
    norm += e * e;
  }
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

enum class Way { chosen, plain, sm90 };
const char* name_of_way(Way way) {
  return way == Way::chosen ? "chosen" : way == Way::plain ? "plain" : "sm90";
}

constexpr std::int64_t kSpare = 37;  // rows that nobody owns

void compare_rows(const GpuStream& gpu, const Case& c, Dtype dtype, bool transpose_w, Way way) {
  const std::int64_t owned = c.offsets.back(), rows = owned + kSpare;
  const Matrices w(gpu, c, 1, dtype);
  const RowsOf x(gpu, rows, owned, transpose_w ? c.k : c.n, c.gap, 2, dtype),
      y(gpu, rows, 0, transpose_w ? c.n : c.k, c.gap, 3, dtype);
  Offsets offsets = c.offsets;
  const View on_host(offsets.data(), Dtype::i64, {static_cast<std::int64_t>(offsets.size())});
  const Tensor on_device = eddy::tensor::to_device(gpu, on_host);
  if (way == Way::sm90 && !cuda::grouped_gemm_takes_sm90(gpu, x.on_gpu(), w.on_gpu(), y.on_gpu())) return;
  grouped_gemm({}, x.on_cpu(), w.on_cpu(), transpose_w, on_host, y.on_cpu());
  const auto run = way == Way::chosen  ? grouped_gemm
                   : way == Way::plain ? cuda::grouped_gemm_plain
                                       : cuda::grouped_gemm_sm90;
  run(gpu, x.on_gpu(), w.on_gpu(), transpose_w, on_device, y.on_gpu());
  INFO(c.what << ", " << eddy::name_of(dtype) << (transpose_w ? ", W^T, " : ", W, ") << name_of_way(way));
  CHECK(distance(gpu, y.there, y.host) < tolerance(dtype));
}

void compare_weight(const GpuStream& gpu, const Case& c, Dtype dtype, float beta, Way way) {
  const std::int64_t owned = c.offsets.back(), rows = owned + kSpare;
  const RowsOf dy(gpu, rows, owned, c.n, c.gap, 4, dtype), x(gpu, rows, owned, c.k, c.gap, 5, dtype);
  Matrices dw(gpu, c, 6, Dtype::f32);
  if (beta == 0) {
    set_nan(dw.host);
    dw.there = upload(gpu, dw.host);
  }
  Offsets offsets = c.offsets;
  const View on_host(offsets.data(), Dtype::i64, {static_cast<std::int64_t>(offsets.size())});
  const Tensor on_device = eddy::tensor::to_device(gpu, on_host);
  if (way == Way::sm90 && !cuda::grouped_gemm_backward_weight_takes_sm90(gpu, dy.on_gpu(), x.on_gpu(), dw.on_gpu()))
    return;
  grouped_gemm_backward_weight({}, dy.on_cpu(), x.on_cpu(), on_host, dw.on_cpu(), beta);
  const auto run = way == Way::chosen  ? grouped_gemm_backward_weight
                   : way == Way::plain ? cuda::grouped_gemm_backward_weight_plain
                                       : cuda::grouped_gemm_backward_weight_sm90;
  run(gpu, dy.on_gpu(), x.on_gpu(), on_device, dw.on_gpu(), beta);
  INFO(c.what << ", " << eddy::name_of(dtype) << ", beta " << beta << ", " << name_of_way(way));
  CHECK(distance(gpu, dw.there, dw.host) < tolerance(Dtype::f32));
}

void compare_all(const GpuStream& gpu, const std::vector<Case>& cases, Dtype dtype, Way way) {
  for (const auto& c : cases) {
    for (const bool transpose_w : {true, false}) compare_rows(gpu, c, dtype, transpose_w, way);
    for (const float beta : {0.f, 1.f}) compare_weight(gpu, c, dtype, beta, way);
  }
}
}  // namespace

TEST_CASE("grouped_gemm on the GPU: the plain way in float32") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  compare_all(*gpu, kOdd, Dtype::f32, Way::plain);
  compare_all(*gpu, kAligned, Dtype::f32, Way::plain);
}

TEST_CASE("grouped_gemm on the GPU: the plain way in bf16") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  compare_all(*gpu, kAligned, Dtype::bf16, Way::plain);
  compare_all(*gpu, kOdd, Dtype::bf16, Way::plain);
}

TEST_CASE("grouped_gemm on the GPU: Hopper's way, rows grouped") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& c : kAligned)
    for (const bool transpose_w : {true, false}) compare_rows(*gpu, c, Dtype::bf16, transpose_w, Way::sm90);
  SUCCEED("where the GPU is no Hopper nothing is compared");
}

TEST_CASE("grouped_gemm on the GPU: Hopper's way, the weights' gradient") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& c : kAligned)
    for (const float beta : {0.f, 1.f}) compare_weight(*gpu, c, Dtype::bf16, beta, Way::sm90);
  SUCCEED("where the GPU is no Hopper nothing is compared");
}

TEST_CASE("grouped_gemm on the GPU: whichever way is chosen") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    compare_all(*gpu, kAligned, dtype, Way::chosen);
    compare_all(*gpu, kOdd, dtype, Way::chosen);
  }
}

TEST_CASE("grouped_gemm on the GPU: which views Hopper's way takes") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const cuda::GroupedGemmGpu info(*gpu);
  const bool hopper = info.major == 9 && info.minor == 0;
  CHECK(info.multiprocessors > 0);
  const Dtype h = Dtype::bf16;
  const Tensor x({10, 64}, h, *gpu), w({2, 32, 64}, h, *gpu), y({10, 32}, h, *gpu), wide({10, 65}, h, *gpu),
      floats({10, 64}, Dtype::f32, *gpu), none({0, 64}, h, *gpu), dw({2, 32, 64}, Dtype::f32, *gpu);
  CHECK(cuda::grouped_gemm_takes_sm90(*gpu, x, w, y) == hopper);
  CHECK_FALSE(cuda::grouped_gemm_takes_sm90(*gpu, wide.view().col_range(0, 64), w, y));  // a stride of 130 bytes
  CHECK_FALSE(cuda::grouped_gemm_takes_sm90(*gpu, floats, w, y));
  CHECK_FALSE(cuda::grouped_gemm_takes_sm90(*gpu, none, w, y));
  CHECK(cuda::grouped_gemm_backward_weight_takes_sm90(*gpu, y, x, dw) == hopper);
  CHECK_FALSE(cuda::grouped_gemm_backward_weight_takes_sm90(*gpu, y, floats, dw));
}

TEST_CASE("grouped_gemm on the GPU: the same product gives the same bits") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Case& c = kAligned[3];
  Offsets offsets = c.offsets;
  const Tensor at =
      eddy::tensor::to_device(*gpu, View(offsets.data(), Dtype::i64, {static_cast<std::int64_t>(offsets.size())}));
  const RowsOf dy(*gpu, offsets.back(), offsets.back(), c.n, 0, 1, Dtype::bf16),
      x(*gpu, offsets.back(), offsets.back(), c.k, 0, 2, Dtype::bf16);
  const Matrices w(*gpu, c, 3, Dtype::bf16);
  Tensor first_y, first_dw;
  for (int run = 0; run < 3; ++run) {
    Tensor y({offsets.back(), c.n}, Dtype::bf16, *gpu), dw = Tensor::zeros({w.experts, c.n, c.k}, Dtype::f32, *gpu);
    grouped_gemm(*gpu, x.on_gpu(), w.on_gpu(), true, at, y);
    grouped_gemm_backward_weight(*gpu, dy.on_gpu(), x.on_gpu(), at, dw, 1);
    Tensor got_y = download(*gpu, y), got_dw = download(*gpu, dw);
    if (run > 0) {
      CHECK(relative_error(got_y, first_y) == 0);
      CHECK(relative_error(got_dw, first_dw) == 0);
    }
    first_y = std::move(got_y);
    first_dw = std::move(got_dw);
  }
}

TEST_CASE("grouped_gemm on the GPU: views that do not fit are refused") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor x({5, 4}, Dtype::f32, *gpu), w({2, 3, 4}, Dtype::f32, *gpu), y({5, 3}, Dtype::f32, *gpu),
      three({3}, Dtype::i64, *gpu), two({2}, Dtype::i64, *gpu), half({5, 4}, Dtype::bf16, *gpu);
  CHECK_THROWS_AS(grouped_gemm(*gpu, x, w, true, two, y), eddy::Error);
  CHECK_THROWS_AS(grouped_gemm(*gpu, y, w, true, three, x), eddy::Error);
  CHECK_THROWS_AS(grouped_gemm(*gpu, half, w, true, three, y), eddy::Error);
  CHECK_THROWS_AS(grouped_gemm_backward_weight(*gpu, y, x, three, w, 0.5f), eddy::Error);
}
