// Which of the GPU's two ways attention takes, and what both ask of their views.
#include "kernels/attention/attention_cuda.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/attention/attention_shape.h"
#include "kernels/common/checks.h"

namespace eddy::kernels::cuda {
namespace {

void check_matrix(const View& view, Dtype dtype, std::int64_t rows, std::int64_t cols, Argument a) {
  check_rows(view, rows, cols, a);
  if (view.dtype != dtype) fail_run("{}: '{}' is {}; expected {}", a.op, a.name, name_of(view.dtype), name_of(dtype));
}

}  // namespace

AttentionShape attention_shape(const View& q, const View& k, const View& v, const View& o, const View& lse, int heads,
                               const Documents& documents, const char* op) {
  check_rows(q, -1, -1, {op, "q"});
  check_rows(v, q.rows(), -1, {op, "v"});
  const auto cu = documents.cu_seqlens;
  if (heads < 1 || cu.empty() || cu.front() != 0 || cu.back() != q.rows() || !std::is_sorted(cu.begin(), cu.end()))
    fail_run("{}: cu_seqlens must rise from 0 to the {} tokens (it has {} entries; {} heads)", op, q.rows(), cu.size(),
             heads);
  if (q.cols() % heads != 0 || v.cols() % heads != 0)
    fail_run("{}: {} heads do not divide the columns of 'q' {} and 'v' {}", op, heads, q.shape.text(), v.shape.text());
  check_matrix(k, q.dtype, q.rows(), q.cols(), {op, "k"});
  check_matrix(v, q.dtype, q.rows(), v.cols(), {op, "v"});
  check_matrix(o, q.dtype, q.rows(), v.cols(), {op, "o"});
  check_matrix(lse, Dtype::f32, heads, q.rows(), {op, "lse"});
  const View& device = documents.on_device;
  if (q.rows() > 0 && (!device || device.dtype != Dtype::i32 || !device.contiguous() ||
                       device.numel() != static_cast<std::int64_t>(cu.size())))
    fail_run("{}: on_device must hold the {} document bounds (contiguous i32) in the GPU's memory", op, cu.size());
  return {q.rows(), heads, static_cast<int>(q.cols() / heads), static_cast<int>(v.cols() / heads), q.dtype};
}

void check_gradients(const AttentionShape& s, const View& d_o, const View& dq, const View& dk, const View& dv,
                     const char* op) {
  check_matrix(d_o, s.dtype, s.tokens, std::int64_t{s.heads} * s.d_v, {op, "d_o"});
  check_matrix(dq, s.dtype, s.tokens, std::int64_t{s.heads} * s.d_qk, {op, "dq"});
  check_matrix(dk, s.dtype, s.tokens, std::int64_t{s.heads} * s.d_qk, {op, "dk"});
  check_matrix(dv, s.dtype, s.tokens, std::int64_t{s.heads} * s.d_v, {op, "dv"});
}

device::Cost attention_cost(const AttentionShape& s, const Documents& documents, double products, double passes) {
  double pairs = 0;
  for (std::size_t d = 0; d + 1 < documents.cu_seqlens.size(); ++d) {
    const double length = documents.cu_seqlens[d + 1] - documents.cu_seqlens[d];
    pairs += length * length / 2;
  }
  const double width = double{1} * s.heads * (s.d_qk + s.d_v);
  const auto tokens = static_cast<double>(s.tokens);
  return {passes * tokens * (2 * width * static_cast<double>(size_of(s.dtype)) + 4.0 * s.heads),
          products * pairs * width};
}

void attention(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale, View o,
               View lse) {
  if (!attention_cudnn(stream, q, k, v, heads, documents, scale, o, lse))
    attention_plain(stream, q, k, v, heads, documents, scale, o, lse);
}

void attention_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                        const Documents& documents, float scale, View dq, View dk, View dv, bool deterministic) {
  if (attention_cudnn_backward(stream, q, k, v, o, lse, d_o, heads, documents, scale, dq, dk, dv, deterministic))
    return;
  attention_plain_backward(stream, q, k, v, o, lse, d_o, heads, documents, scale, dq, dk, dv,
                           attention_cudnn_lse_by_token(stream, q, k, v, o, lse, heads, documents, scale));
}

}  // namespace eddy::kernels::cuda
