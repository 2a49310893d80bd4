// The experts' products on a GPU: what is asked of the views, and which of the two ways takes them.
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/grouped_gemm/grouped_gemm_cuda.h"

namespace eddy::kernels::cuda {
namespace {

/// Throws unless rows [R, N] and [R, K] fit experts' matrices `w` [E, N, K].
void check_groups(const char* op, const View& n_rows, const View& k_rows, const View& w, const View& offsets) {
  if (w.shape.rank() != 3 || n_rows.shape.rank() != 2 || k_rows.shape.rank() != 2 || n_rows.cols() != w.shape[1] ||
      k_rows.cols() != w.shape[2])
    fail_run("{}: rows {} and {} do not fit experts' matrices {}", op, n_rows.shape.text(), k_rows.shape.text(),
             w.shape.text());
  expect_vector(offsets, Dtype::i64, w.shape[0] + 1, op, "offsets");
  if (n_rows.dtype != k_rows.dtype)
    fail_run("{}: rows of {} and of {}", op, name_of(n_rows.dtype), name_of(k_rows.dtype));
}

device::Cost cost_of(const View& n_rows, const View& k_rows, const View& w) {
  const auto rows = static_cast<double>(std::min(n_rows.rows(), k_rows.rows()));
  return {static_cast<double>(n_rows.bytes() + k_rows.bytes() + w.bytes()),
          2 * rows * static_cast<double>(n_rows.cols()) * static_cast<double>(k_rows.cols())};
}

/// Whether TMA can address these: 16 bytes are its unit for addresses and strides. It takes any extent but 0.
bool addressed_by_tma(const View& v) {
  const auto size = static_cast<std::int64_t>(size_of(v.dtype));
  const std::int64_t line = v.shape.rank() == 3 ? v.shape[2] : v.row_stride;
  return v.numel() > 0 && reinterpret_cast<std::uintptr_t>(v.data) % 16 == 0 && v.row_stride * size % 16 == 0 &&
         line * size % 16 == 0;
}
bool on_hopper(const Stream& stream) {
  const auto& gpu = stream.state<GroupedGemmGpu>();
  return gpu.major == 9 && gpu.minor == 0;
}

}  // namespace

GroupedGemmGpu::GroupedGemmGpu(const Stream&) {
  device::check(cudaGetDevice(&device));
  const auto ask = [&](int& value, cudaDeviceAttr which) {
    device::check(cudaDeviceGetAttribute(&value, which, device));
  };
  ask(major, cudaDevAttrComputeCapabilityMajor);
  ask(minor, cudaDevAttrComputeCapabilityMinor);
  ask(multiprocessors, cudaDevAttrMultiProcessorCount);
}

bool grouped_gemm_takes_sm90(const Stream& stream, View x, View w, View y) {
  for (const View& v : {x, w, y})
    if (v.dtype != Dtype::bf16 || !addressed_by_tma(v)) return false;
  return on_hopper(stream);
}
bool grouped_gemm_backward_weight_takes_sm90(const Stream& stream, View dy, View x, View dw) {
  return dy.dtype == Dtype::bf16 && x.dtype == Dtype::bf16 && dw.dtype == Dtype::f32 && addressed_by_tma(dy) &&
         addressed_by_tma(x) && addressed_by_tma(dw) && on_hopper(stream);
}

void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y) {
  const View& n_rows = transpose_w ? y : x;
  const View& k_rows = transpose_w ? x : y;
  check_groups("grouped_gemm", n_rows, k_rows, w, offsets);
  if (w.dtype != x.dtype) fail_run("grouped_gemm: rows of {} times matrices of {}", name_of(x.dtype), name_of(w.dtype));
  const Span span(stream, "grouped_gemm", cost_of(n_rows, k_rows, w));
  if (grouped_gemm_takes_sm90(stream, x, w, y)) return grouped_gemm_sm90(stream, x, w, transpose_w, offsets, y);
  grouped_gemm_plain(stream, x, w, transpose_w, offsets, y);
}

void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, View offsets, View dw, float beta) {
  check_groups("grouped_gemm_backward_weight", dy, x, dw, offsets);
  if (dw.dtype != Dtype::f32 || (beta != 0 && beta != 1))
    fail_run("grouped_gemm_backward_weight: dw is {}, beta {}; expected f32, 0 or 1", name_of(dw.dtype), beta);
  const Span span(stream, "grouped_gemm_backward_weight", cost_of(dy, x, dw));
  if (grouped_gemm_backward_weight_takes_sm90(stream, dy, x, dw))
    return grouped_gemm_backward_weight_sm90(stream, dy, x, offsets, dw, beta);
  grouped_gemm_backward_weight_plain(stream, dy, x, offsets, dw, beta);
}

}  // namespace eddy::kernels::cuda
