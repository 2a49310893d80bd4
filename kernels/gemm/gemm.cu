// gemm.h on a GPU: cuBLASLt, which sees each row-major matrix as its transpose, column-major; so it is asked for
// C^T = op(B)^T · op(A)^T.
#include "kernels/gemm/gemm_cuda.h"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>

#include "kernels/common/cuda.cuh"
#include "kernels/elementwise/elementwise_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr std::size_t kMaxWorkspace = std::size_t{64} << 20;

void check(cublasStatus_t status, std::source_location at = std::source_location::current()) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail_run("cuBLASLt: {} ({}:{})", cublasLtGetStatusString(status), at.file_name(), at.line());
}

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    (void)destroy(handle);
  }
};
template <class Handle, auto destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<destroy>>;
using Library = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Product = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(Dtype dtype) {
  if (dtype == Dtype::f32) return CUDA_R_32F;
  if (dtype == Dtype::bf16) return CUDA_R_16BF;
  fail_run("gemm: no GPU kernel for {}", name_of(dtype));
}

/// A row-major matrix and whether the product takes it transposed.
struct Operand {
  void* data;
  Dtype dtype;
  std::int64_t rows, cols, stride;  // a view of one row may carry any stride: here at least the row's length
  bool transposed;
  Operand(const View& v, bool t)
      : data(v.data),
        dtype(v.dtype),
        rows(v.rows()),
        cols(v.cols()),
        stride(std::max({v.row_stride, v.cols(), std::int64_t{1}})),
        transposed(t) {}
  /// The power of two that divides the address, at most 256: what cuBLASLt asks for.
  std::uint32_t alignment() const {
    const auto bits = reinterpret_cast<std::uintptr_t>(data) | 256;
    return static_cast<std::uint32_t>(bits & (~bits + 1));
  }
};

/// What the choice of an algorithm depends on: of each of A, B, D, C.
using Key = std::array<std::int64_t, 24>;
Key key_of(const Operand& a, const Operand& b, const Operand& d, const Operand& c) {
  Key key{};
  auto* at = key.data();
  for (const Operand* o : {&a, &b, &d, &c})
    for (const std::int64_t v : {static_cast<std::int64_t>(o->dtype), o->rows, o->cols, o->stride,
                                 std::int64_t{o->transposed}, std::int64_t{o->alignment()}})
      *at++ = v;
  return key;
}

Layout layout_of(const Operand& o) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type_of(o.dtype), static_cast<std::uint64_t>(o.cols),
                                   static_cast<std::uint64_t>(o.rows), o.stride));
  return Layout(layout);
}

/// How products of one form are made; the same each time, so results repeat bit for bit.
struct Plan {
  Product product;
  Layout a, b, c, d;
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace = 0;

  Plan(cublasLtHandle_t library, const Operand& a_in, const Operand& b_in, const Operand& d_in, const Operand& c_in)
      : a(layout_of(a_in)), b(layout_of(b_in)), c(layout_of(c_in)), d(layout_of(d_in)) {
    cublasLtMatmulDesc_t made = nullptr;
    check(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    product.reset(made);
    const auto op = [&](cublasLtMatmulDescAttributes_t which, bool transposed) {
      const cublasOperation_t value = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      check(cublasLtMatmulDescSetAttribute(product.get(), which, &value, sizeof value));
    };
    op(CUBLASLT_MATMUL_DESC_TRANSA, b_in.transposed);  // its A is our B
    op(CUBLASLT_MATMUL_DESC_TRANSB, a_in.transposed);

    cublasLtMatmulPreference_t wanted = nullptr;
    check(cublasLtMatmulPreferenceCreate(&wanted));
    const Preference preference(wanted);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(wanted, which, &value, sizeof value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kMaxWorkspace});
    // Parts of a sum over K may only meet in float32 in the workspace, in a fixed order: neither in C as they come
    // (atomics) nor rounded to C's type.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b_in.alignment());
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a_in.alignment());
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d_in.alignment());
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c_in.alignment());
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(library, product.get(), b.get(), a.get(), d.get(),
                                                                 c.get(), wanted, 1, &found, &count);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0 || found.state != CUBLAS_STATUS_SUCCESS)
      fail_run(
          "gemm: cuBLASLt knows no algorithm for {} [{}, {}]{} (row stride {}) times {} [{}, {}]{} ({}) to {} ({}): {}",
          name_of(a_in.dtype), a_in.rows, a_in.cols, a_in.transposed ? "^T" : "", a_in.stride, name_of(b_in.dtype),
          b_in.rows, b_in.cols, b_in.transposed ? "^T" : "", b_in.stride, name_of(c_in.dtype), c_in.stride,
          cublasLtGetStatusString(status == CUBLAS_STATUS_SUCCESS ? found.state : status));
    algorithm = found.algo;
    workspace = found.workspaceSize;
  }
};

/// Kept by each stream.
struct Products {
  Library library;
  std::map<Key, Plan> plans;

  explicit Products(const Stream&) {
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made));
    library.reset(made);
  }
  const Plan& plan(const Operand& a, const Operand& b, const Operand& d, const Operand& c) {
    const Key key = key_of(a, b, d, c);
    const auto at = plans.find(key);
    if (at != plans.end()) return at->second;
    return plans.try_emplace(key, library.get(), a, b, d, c).first->second;
  }
};

struct Scales {
  float alpha, beta;
};

/// C = alpha · A · B + beta · D for types that cuBLASLt takes; nothing is empty.
void multiply(const Stream& stream, const Operand& a, const Operand& b, const Operand& c, Scales scales,
              const Operand& d) {
  auto& products = stream.state<Products>();
  const Plan& plan = products.plan(a, b, d, c);
  const Scratch workspace(stream, plan.workspace);
  check(cublasLtMatmul(products.library.get(), plan.product.get(), &scales.alpha, b.data, plan.b.get(), a.data,
                       plan.a.get(), &scales.beta, d.data, plan.d.get(), c.data, plan.c.get(), &plan.algorithm,
                       workspace.as<>(), plan.workspace, device::native(stream)));
}

/// high = bf16(from), and where `low` is given low = bf16(from - high).
__global__ void split_rows(const float* from, std::int64_t from_stride, std::int64_t rows, std::int64_t cols,
                           bf16* high, bf16* low, std::int64_t stride) {
  const std::int64_t col = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (col >= cols) return;
  for (std::int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    const float v = from[r * from_stride + col];
    const bf16 rounded = __float2bfloat16(v);
    high[r * stride + col] = rounded;
    if (low) low[r * stride + col] = __float2bfloat16(v - __bfloat162float(rounded));
  }
}

/// A float32 matrix as bf16, and what the rounding left.
class Parts {
 public:
  Parts(const Stream& stream, const View& v, bool with_low)
      : rows_(v.rows()),
        cols_(v.cols()),
        stride_(ceil_div(v.cols(), 8) * 8),
        memory_(stream, static_cast<std::size_t>(rows_ * stride_) * sizeof(bf16) * (with_low ? 2 : 1)) {
    const dim3 grid(static_cast<unsigned>(ceil_div(cols_, 256)),
                    static_cast<unsigned>(std::min<std::int64_t>(rows_, 65535)));
    bf16* data = memory_.as<bf16>();
    split_rows<<<grid, 256, 0, device::native(stream)>>>(v.f32(), v.row_stride, rows_, cols_, data,
                                                         with_low ? data + rows_ * stride_ : nullptr, stride_);
    check_launch();
  }
  View high() const { return part(0); }
  View low() const { return part(1); }

 private:
  std::int64_t rows_, cols_, stride_;
  Scratch memory_;
  View part(std::int64_t i) const {
    View v(memory_.as<bf16>() + i * rows_ * stride_, Dtype::bf16, {rows_, cols_});
    v.row_stride = stride_;
    return v;
  }
};

/// C = beta · D.
void scale_only(const Stream& stream, const View& c, float beta, const View& d) {
  if (beta == 0) return fill(stream, c, 0);
  if (d.data != c.data) copy(stream, d, c);
  if (beta != 1) scale(stream, c, beta);
}

}  // namespace

void gemm(const Stream& stream, View a, bool transpose_a, View b, bool transpose_b, View c, float alpha, float beta,
          View d) {
  for (const View& v : {a, b, c})
    if (v.shape.rank() != 2)
      fail_run("gemm takes matrices: a {}, b {}, c {}", a.shape.text(), b.shape.text(), c.shape.text());
  const std::int64_t m = transpose_a ? a.cols() : a.rows(), k = transpose_a ? a.rows() : a.cols();
  const std::int64_t k_b = transpose_b ? b.cols() : b.rows(), n = transpose_b ? b.rows() : b.cols();
  if (c.rows() != m || c.cols() != n || k_b != k)
    fail_run("gemm: a {}{} times b {}{} does not give c {}", a.shape.text(), transpose_a ? "^T" : "", b.shape.text(),
             transpose_b ? "^T" : "", c.shape.text());
  if (d && (!(d.shape == c.shape) || d.dtype != c.dtype))
    fail_run("gemm: d is {} {}, c {} {}", name_of(d.dtype), d.shape.text(), name_of(c.dtype), c.shape.text());
  for (const View& v : {a, b, c}) type_of(v.dtype);
  const auto count = [](std::int64_t v) { return static_cast<double>(v); };
  const Span span(stream, "gemm",
                  {static_cast<double>(a.bytes() + b.bytes() + c.bytes() * (beta == 0 ? 1 : 2)),
                   2 * count(m) * count(n) * count(k)});
  if (m == 0 || n == 0) return;
  if (beta == 0 || !d) d = c;
  if (k == 0) return scale_only(stream, c, beta, d);

  const auto product = [&](const View& left, const View& right, float times_d, const View& added) {
    multiply(stream, {left, transpose_a}, {right, transpose_b}, {c, false}, {alpha, times_d}, {added, false});
  };
  if (a.dtype == b.dtype && (a.dtype == Dtype::bf16 || c.dtype == Dtype::f32)) return product(a, b, beta, d);
  const bool split = c.dtype == Dtype::f32;  // then one of A and B is bf16
  std::optional<Parts> a_parts, b_parts;
  if (a.dtype == Dtype::f32) a_parts.emplace(stream, a, split);
  if (b.dtype == Dtype::f32) b_parts.emplace(stream, b, split);
  product(a_parts ? a_parts->high() : a, b_parts ? b_parts->high() : b, beta, d);
  if (split) product(a_parts ? a_parts->low() : a, b_parts ? b_parts->low() : b, 1, c);
}

}  // namespace eddy::kernels::cuda
