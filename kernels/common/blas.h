#pragma once
#include <cblas.h>

#include <algorithm>
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

/// y [n] = alpha · x [k] · op(B) [k, n] + beta · y; x_stride elements between x's entries. OpenBLAS packs B for a
/// product of matrices, which costs several times the product itself where few rows share it: a vector product reads B
/// once.
inline void sgemv(std::int64_t n, std::int64_t k, float alpha, const float* x, std::int64_t x_stride, Operand b,
                  float beta, float* y) {
  const auto blas = [](std::int64_t v) { return static_cast<blasint>(v); };
  // Versions of OpenBLAS differ in whether beta = 0 hides a NaN in y.
  if (beta == 0) std::fill_n(y, n, 0.0f);
  cblas_sgemv(CblasRowMajor, b.transposed ? CblasNoTrans : CblasTrans, blas(b.transposed ? n : k),
              blas(b.transposed ? k : n), alpha, b.data, blas(b.stride), x, blas(x_stride), beta, y, 1);
}

}  // namespace eddy::kernels
