#include "kernels/grouped_gemm/grouped_gemm_candidates.h"
#include "kernels/grouped_gemm/grouped_gemm_sm90.cuh"

namespace eddy::kernels::cuda {

void weight_gradient_ping_pong_128x128_of_4(const Stream& stream, View dy, View x, View offsets, View dw,
                                            bool along_n) {
  using Kernel = sm90::GroupedKernel<cutlass::layout::ColumnMajor, cutlass::layout::RowMajor, float,
                                     cute::SM90_TMA_STORE, cute::Shape<cute::_2, cute::_2, cute::_1>,
                                     cute::Shape<cute::_128, cute::_128, cute::_64>, sm90::Groups::ping_pong>;
  const auto p = weight_problem<cutlass::bfloat16_t>(dy, x, offsets, dw, 0);
  sm90::run_grouped<Kernel, RowsAre::k>(stream, p, along_n, "weight_gradient_ping_pong_128x128_of_4");
}

}  // namespace eddy::kernels::cuda
