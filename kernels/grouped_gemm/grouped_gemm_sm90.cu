#include "kernels/grouped_gemm/grouped_gemm_sm90.cuh"

namespace eddy::kernels::cuda {
namespace {
using cutlass::layout::ColumnMajor;
using cutlass::layout::RowMajor;
// Two blocks whose tiles lie one below the other share the loads of the weights' tile, the larger of the two. An expert
// whose row tiles are odd in number leaves one block idle.
using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
using Out = cutlass::bfloat16_t;
}  // namespace

void grouped_gemm_sm90(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y) {
  if (!grouped_gemm_takes_sm90(stream, x, w, y))
    fail_run("grouped_gemm: x {}, w {}, y {} do not suit Hopper's kernel", x.shape.text(), w.shape.text(),
             y.shape.text());
  const auto p = rows_problem<cutlass::bfloat16_t>(x, w, offsets, y);
  if (transpose_w)
    sm90::run_grouped<sm90::GroupedKernel<RowMajor, ColumnMajor, Out, false, Cluster>, RowsAre::m>(stream, p,
                                                                                                   "grouped_gemm");
  else
    sm90::run_grouped<sm90::GroupedKernel<RowMajor, RowMajor, Out, false, Cluster>, RowsAre::m>(stream, p,
                                                                                                "grouped_gemm");
}

}  // namespace eddy::kernels::cuda
