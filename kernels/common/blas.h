#pragma once
#include <cblas.h>

#include <cstdint>

namespace eddy::kernels {

/// One operand of a product: row-major, `stride` elements between rows, read transposed when asked.
struct Operand {
  const float* data;
  std::int64_t stride;
  bool transposed = false;
};

/// C [m, n] = alpha · op(A) [m, k] · op(B) [k, n] + beta · C with m, n, k > 0, all below 2^31. Inside an OpenMP
/// parallel region OpenBLAS (OpenMP build) computes on the calling thread alone; outside it uses the OpenMP threads.
inline void sgemm(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, Operand a, Operand b, float beta,
                  float* c, std::int64_t c_stride) {
  const auto op = [](bool t) { return t ? CblasTrans : CblasNoTrans; };
  const auto blas = [](std::int64_t v) { return static_cast<blasint>(v); };
  cblas_sgemm(CblasRowMajor, op(a.transposed), op(b.transposed), blas(m), blas(n), blas(k), alpha, a.data,
              blas(a.stride), b.data, blas(b.stride), beta, c, blas(c_stride));
}

}  // namespace eddy::kernels
