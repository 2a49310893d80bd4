// RMSNorm on the GPU against its CPU twin.
#include "kernels/rms_norm/rms_norm.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

constexpr float kEps = 1e-6f;

struct Size {
  std::int64_t rows, cols, gap;
};
// Single elements; a warp a row; a few warps; a block a row; more than packs are held for; rows that packs do not fit;
// so many rows that the backward pass gives blocks several, in one round and in two.
const std::vector<Size> kSizes = {{5, 7, 0},     {37, 64, 8}, {19, 512, 64},  {21, 1536, 576},
                                  {33, 7168, 0}, {3, 576, 3}, {9, 2048, 16},  {2, 40000, 0},
                                  {0, 64, 0},    {0, 7, 3},   {700, 512, 64}, {1100, 1536, 0}};

/// What rms_norm leaves on the CPU.
struct Normed {
  Tensor y, inv_rms;
};
Normed norm(const Tensor& x, const Tensor& weight) {
  Normed n{Tensor(x.shape()), Tensor({x.shape()[0]})};
  kernels::rms_norm({}, x, weight, kEps, n.y, n.inv_rms);
  return n;
}

}  // namespace

/// The CPU twin adds a row's squares in float32, in lanes: what it loses grows with the row.
static double sum_tolerance(std::int64_t cols) {
  return tolerance(Dtype::f32) * (1 + static_cast<double>(cols) / 16384);
}

TEST_CASE("rms_norm on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor x = random_tensor({rows, cols}, 1, dtype, 3), weight = random_tensor({cols}, 2, dtype);
      const Normed expected = norm(x, weight);
      const Padded in(*gpu, x, dtype, gap), y = Padded::poisoned(*gpu, rows, cols, dtype, gap);
      const Padded inv_rms = Padded::poisoned(*gpu, rows, 1);
      const Tensor w = upload(*gpu, weight, dtype);
      kernels::rms_norm(*gpu, in, w, kEps, y, inv_rms.view().reshape({rows}));
      CHECK(relative_error(y.host(), expected.y) < tolerance(dtype));
      CHECK(relative_error(inv_rms.host(), expected.inv_rms) < sum_tolerance(cols));
      const Padded alone = Padded::poisoned(*gpu, rows, cols, dtype, gap);
      kernels::rms_norm(*gpu, in, w, kEps, alone, {});
      CHECK(same_bits(alone.host(), y.host()));
    }
  }
}

TEST_CASE("add_rms_norm on the GPU: the sum is rounded before it is normalised") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor x = random_tensor({rows, cols}, 1, dtype), before = random_tensor({rows, cols}, 3, dtype, 2),
                   weight = random_tensor({cols}, 2, dtype);
      const Tensor after = copy_of(before);
      for (std::int64_t i = 0; i < rows * cols; ++i) after.f32()[i] += x.f32()[i];
      round_to(after, dtype);
      const Normed expected = norm(after, weight);
      const Padded in(*gpu, x, dtype, gap), sum(*gpu, before, dtype, gap),
          y = Padded::poisoned(*gpu, rows, cols, dtype, gap), inv_rms = Padded::poisoned(*gpu, rows, 1);
      kernels::add_rms_norm(*gpu, in, sum, upload(*gpu, weight, dtype), kEps, y, inv_rms.view().reshape({rows}));
      CHECK(relative_error(sum.host(), after) == 0);
      CHECK(relative_error(y.host(), expected.y) < tolerance(dtype));
      CHECK(relative_error(inv_rms.host(), expected.inv_rms) < sum_tolerance(cols));
    }
  }
}

namespace {

struct Inputs {
  Tensor dy, x, weight, inv_rms, residual, dweight;
  Inputs(std::int64_t rows, std::int64_t cols, Dtype dtype)
      : dy(random_tensor({rows, cols}, 4, dtype)),
        x(random_tensor({rows, cols}, 5, dtype, 2)),
        weight(random_tensor({cols}, 6, dtype)),
        inv_rms(norm(x, weight).inv_rms),
        residual(random_tensor({rows, cols}, 7, dtype)),
        dweight(random_tensor({cols}, 8)) {}
};

enum class Place { own, on_dy, on_residual };

void check_backward(const eddy::device::Stream& gpu, const Inputs& in, Dtype dtype, std::int64_t gap,
                    bool with_residual, bool with_dweight, Place place) {
  const std::int64_t rows = in.x.shape()[0], cols = in.x.shape()[1];
  CAPTURE(eddy::name_of(dtype), rows, cols, gap, with_residual, with_dweight, static_cast<int>(place));
  const Tensor dx({rows, cols}), dw = copy_of(in.dweight);
  kernels::rms_norm_backward({}, in.dy, in.x, in.weight, in.inv_rms, with_residual ? in.residual.view() : View(), dx,
                             with_dweight ? dw.view() : View());
  const Padded x(gpu, in.x, dtype, gap);
  const Tensor weight = upload(gpu, in.weight, dtype), inv_rms = upload(gpu, in.inv_rms);
  std::vector<Tensor> first;  // what came the first time: the second must give the same bits
  for (int time = 0; time < 2; ++time) {
    const Padded dy(gpu, in.dy, dtype, gap), residual(gpu, in.residual, dtype, gap),
        own = Padded::poisoned(gpu, rows, cols, dtype, gap);
    const Padded& out = place == Place::own ? own : place == Place::on_dy ? dy : residual;
    const Tensor dweight = upload(gpu, in.dweight);
    kernels::rms_norm_backward(gpu, dy, x, weight, inv_rms, with_residual ? residual.view() : View(), out,
                               with_dweight ? dweight.view() : View());
    std::vector<Tensor> got;
    got.push_back(out.host());
    got.push_back(download(gpu, dweight));
    CHECK(relative_error(got[0], dx) < tolerance(dtype));
    CHECK(relative_error(got[1], dw) < tolerance(Dtype::f32));
    if (time == 1) {
      CHECK(same_bits(got[0], first[0]));
      CHECK(same_bits(got[1], first[1]));
    }
    first = std::move(got);
  }
}

}  // namespace

TEST_CASE("rms_norm_backward on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      const Inputs in(rows, cols, dtype);
      check_backward(*gpu, in, dtype, gap, false, true, Place::own);
      check_backward(*gpu, in, dtype, gap, true, true, Place::on_residual);
      check_backward(*gpu, in, dtype, gap, true, false, Place::on_dy);
      check_backward(*gpu, in, dtype, gap, false, false, Place::on_dy);
    }
  }
}

TEST_CASE("rms_norm_backward on the GPU where every block has several rows") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  // At least five rounds of the staged copies on 132 multiprocessors: one row a block, and two.
  for (const Size& size : {Size{701, 7168, 0}, Size{1403, 3072, 8}}) {
    const Inputs in(size.rows, size.cols, Dtype::bf16);
    check_backward(*gpu, in, Dtype::bf16, size.gap, true, true, Place::on_residual);
  }
  const Inputs in(700, 4096, Dtype::f32);
  check_backward(*gpu, in, Dtype::f32, 0, false, true, Place::on_dy);
}
