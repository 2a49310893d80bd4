#include "kernels/grouped_gemm/grouped_gemm_sm90.cuh"

namespace eddy::kernels::cuda {
namespace {
using cutlass::layout::ColumnMajor;
using cutlass::layout::RowMajor;
// Two blocks one below the other share the loads of x's tile, the larger of the two.
using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
template <class Store>
using Kernel = sm90::GroupedKernel<ColumnMajor, RowMajor, float, Store, Cluster>;

/// Zeroes the matrices (a multiple of 4 floats each) of experts without rows, which the product passes over;
/// blockIdx.y: expert.
template <class Problem>
__global__ void zero_empty_experts(Problem p) {
  const int e = static_cast<int>(blockIdx.y);
  if (group_rows(p, e).count > 0) return;
  const std::int64_t elements = std::int64_t{p.m} * p.n;
  auto* out = reinterpret_cast<float4*>(group_data(p.d, 0, e));
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements / 4; i += step)
    out[i] = make_float4(0, 0, 0, 0);
}
}  // namespace

void grouped_gemm_backward_weight_sm90(const Stream& stream, View dy, View x, View offsets, View dw, float beta) {
  if (!grouped_gemm_backward_weight_takes_sm90(stream, dy, x, dw))
    fail_run("grouped_gemm_backward_weight: dy {}, x {}, dw {} do not suit Hopper's kernel", dy.shape.text(),
             x.shape.text(), dw.shape.text());
  const auto p = weight_problem<cutlass::bfloat16_t>(dy, x, offsets, dw, beta);
  if (beta == 0) {
    const dim3 grid(64, static_cast<unsigned>(p.groups));
    zero_empty_experts<<<grid, 256, 0, device::native(stream)>>>(p);
    check_launch();
  }
  const bool along_n =
      p.n < p.m;  // the shorter way: what a wave of blocks reads of the other operand stays in the cache
  if (beta == 0)
    sm90::run_grouped<Kernel<cute::SM90_TMA_STORE>, RowsAre::k>(stream, p, along_n, "grouped_gemm_backward_weight");
  else
    sm90::run_grouped<Kernel<sm90::TmaAdd>, RowsAre::k>(stream, p, along_n, "grouped_gemm_backward_weight");
}

}  // namespace eddy::kernels::cuda
