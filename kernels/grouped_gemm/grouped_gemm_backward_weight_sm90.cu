#include "kernels/grouped_gemm/grouped_gemm_sm90.cuh"

namespace eddy::kernels::cuda {
namespace {
using cutlass::layout::ColumnMajor;
using cutlass::layout::RowMajor;
// Two blocks one below the other share the loads of x's tile, the larger of the two.
using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
using Kernel = sm90::GroupedKernel<ColumnMajor, RowMajor, float, true, Cluster>;

/// Zeroes the matrices (`elements` floats, a multiple of 4, `stride` apart) of experts without rows; blockIdx.y: expert.
__global__ void zero_empty_experts(const std::int64_t* offsets, float* dw, std::int64_t elements, std::int64_t stride) {
  const std::int64_t e = blockIdx.y;
  if (offsets[e + 1] > offsets[e]) return;
  auto* out = reinterpret_cast<float4*>(dw + e * stride);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements / 4; i += step)
    out[i] = make_float4(0, 0, 0, 0);
}
}  // namespace

void grouped_gemm_backward_weight_sm90(const Stream& stream, View dy, View x, View offsets, View dw, float beta) {
  if (!grouped_gemm_backward_weight_takes_sm90(stream, dy, x, dw))
    fail_run("grouped_gemm_backward_weight: dy {}, x {}, dw {} do not suit Hopper's kernel", dy.shape.text(),
             x.shape.text(), dw.shape.text());
  sm90::GroupedProblem<float> p{};
  p.offsets = offsets.as<std::int64_t>();
  p.groups = static_cast<int>(dw.shape[0]);
  p.rows = std::min(dy.rows(), x.rows());
  p.m = static_cast<int>(dw.shape[1]);
  p.n = static_cast<int>(dw.shape[2]);
  p.a = {static_cast<const cutlass::bfloat16_t*>(dy.data), dy.row_stride, 0, dy.row_stride};
  p.b = {static_cast<const cutlass::bfloat16_t*>(x.data), x.row_stride, 0, x.row_stride};
  p.d = {dw.f32(), 0, dw.row_stride, dw.shape[2]};
  p.beta = beta;
  if (beta == 0) {
    const dim3 grid(64, static_cast<unsigned>(p.groups));
    zero_empty_experts<<<grid, 256, 0, device::native(stream)>>>(p.offsets, dw.f32(), dw.cols(), dw.row_stride);
    check_launch();
  }
  sm90::run_grouped<Kernel, sm90::RowsAre::k>(stream, p, "grouped_gemm_backward_weight");
}

}  // namespace eddy::kernels::cuda
