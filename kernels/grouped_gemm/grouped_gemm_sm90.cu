#include "kernels/grouped_gemm/grouped_gemm_sm90.cuh"

namespace eddy::kernels::cuda {
namespace {
using cutlass::layout::ColumnMajor;
using cutlass::layout::RowMajor;
// Two blocks whose tiles lie one below the other share the loads of the weights' tile, the larger of the two. An expert
// whose row tiles are odd in number leaves one block idle.
using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
template <class LayoutW>
using Kernel = sm90::GroupedKernel<RowMajor, LayoutW, cutlass::bfloat16_t, cute::SM90_TMA_STORE, Cluster>;
}  // namespace

void grouped_gemm_sm90(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y) {
  if (!grouped_gemm_takes_sm90(stream, x, w, y))
    fail_run("grouped_gemm: x {}, w {}, y {} do not suit Hopper's kernel", x.shape.text(), w.shape.text(),
             y.shape.text());
  const auto p = rows_problem<cutlass::bfloat16_t>(x, w, offsets, y);
  constexpr bool kAlongN = false;
  if (transpose_w)
    sm90::run_grouped<Kernel<ColumnMajor>, RowsAre::m>(stream, p, kAlongN, "grouped_gemm");
  else
    sm90::run_grouped<Kernel<RowMajor>, RowsAre::m>(stream, p, kAlongN, "grouped_gemm");
}

}  // namespace eddy::kernels::cuda
