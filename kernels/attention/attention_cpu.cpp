#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/attention/attention_cuda.h"
#include "kernels/common/blas.h"
#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/common/scratch.h"

namespace eddy::kernels {
namespace {

constexpr std::int64_t kQueries = 64;  // rows of a tile
constexpr std::int64_t kKeys = 256;    // columns of a tile: scores of 64 KiB stay in the second-level cache

/// The part of one document and head that one owner computes: queries [begin, end), keys from the document's first
/// token.
struct Task {
  std::int64_t document, begin, end;
  int head;
};

void check_documents(std::span<const std::int32_t> cu_seqlens, std::int64_t tokens, int heads, const char* op) {
  if (heads < 1 || cu_seqlens.empty() || cu_seqlens.front() != 0 || cu_seqlens.back() != tokens ||
      !std::is_sorted(cu_seqlens.begin(), cu_seqlens.end()))
    fail_run("{}: cu_seqlens must rise from 0 to the {} tokens (it has {} entries; {} heads)", op, tokens,
             cu_seqlens.size(), heads);
}

/// Tasks of at most `rows` queries, the longest first so that dynamic scheduling ends evenly.
std::vector<Task> tasks_of(std::span<const std::int32_t> cu_seqlens, int heads, std::int64_t rows) {
  std::vector<Task> tasks;
  for (std::size_t d = 0; d + 1 < cu_seqlens.size(); ++d)
    for (std::int64_t begin = cu_seqlens[d]; begin < cu_seqlens[d + 1];
         begin += std::min<std::int64_t>(rows, cu_seqlens[d + 1] - begin))
      for (int h = 0; h < heads; ++h)
        tasks.push_back({cu_seqlens[d], begin, begin + std::min<std::int64_t>(rows, cu_seqlens[d + 1] - begin), h});
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& a, const Task& b) { return a.end - a.document > b.end - b.document; });
  return tasks;
}

/// One head's columns of a [T, heads · d] matrix.
struct Head {
  float* data;
  std::int64_t stride, d;
  float* operator[](std::int64_t t) const { return data + t * stride; }
  Operand at(std::int64_t t, bool transposed = false) const { return {data + t * stride, stride, transposed}; }
};
Head head_of(const Rows& m, int head, int heads) {
  const std::int64_t d = m.cols / heads;
  return {m.data + head * d, std::max(m.stride, m.cols), d};
}

/// Online softmax over blocks of keys (Milakov & Gimelshein 2018; Dao 2023, algorithm 1).
/// room: kQueries · (kKeys + 2) floats.
void forward_tile(const Task& task, Head q, Head k, Head v, Head o, float* lse, float scale, float* room) {
  const std::int64_t rows = task.end - task.begin;
  float *s = room, *max = room + kQueries * kKeys, *sum = max + kQueries;
  std::fill_n(max, rows, -std::numeric_limits<float>::infinity());
  std::fill_n(sum, rows, 0.0f);
  for (std::int64_t j = task.document; j < task.end; j += kKeys) {
    const std::int64_t cols = std::min(kKeys, task.end - j);
    sgemm(rows, cols, q.d, scale, q.at(task.begin), k.at(j, true), 0, s, kKeys);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t seen =
          std::clamp<std::int64_t>(task.begin + r + 1 - j, 0, cols);  // keys up to the query itself
      float* p = s + r * kKeys;
      float m = max[r], l = 0;
#pragma omp simd reduction(max : m)
      for (std::int64_t i = 0; i < seen; ++i) m = p[i] > m ? p[i] : m;
#pragma omp simd reduction(+ : l)
      for (std::int64_t i = 0; i < seen; ++i) l += p[i] = exp_f32(p[i] - m);
      std::fill(p + seen, p + cols, 0.0f);
      if (j > task.document && seen > 0) {
        const float shrink = exp_f32(max[r] - m);
        sum[r] *= shrink;
        float* out = o[task.begin + r];
        if (shrink != 1.0f)
          for (std::int64_t i = 0; i < o.d; ++i) out[i] *= shrink;
      }
      max[r] = m;
      sum[r] += l;
    }
    sgemm(rows, o.d, cols, 1, {s, kKeys}, v.at(j), j == task.document ? 0.0f : 1.0f, o[task.begin], o.stride);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    float* out = o[task.begin + r];
    const float inverse = 1.0f / sum[r];
    for (std::int64_t i = 0; i < o.d; ++i) out[i] *= inverse;
    lse[task.begin + r] = max[r] + std::log(sum[r]);
  }
}

/// The tensors of one head in the backward pass.
struct BackwardHead {
  Head q, k, v, o, d_o, dq, dk, dv;
  const float* lse;
};

/// One document and head, one owner: dq, dk and dv are summed in a fixed order (Dao 2023, algorithm 2).
/// room: 2 · kQueries · kKeys floats, then one float a query.
void backward_document(const Task& task, const BackwardHead& h, float scale, float* room) {
  float *p = room, *ds = room + kQueries * kKeys, *dot = ds + kQueries * kKeys;
  for (std::int64_t t = task.begin; t < task.end; ++t) {
    const float *a = h.o[t], *b = h.d_o[t];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < h.o.d; ++i) sum += a[i] * b[i];
    dot[t - task.begin] = sum;
  }
  for (std::int64_t j = task.begin; j < task.end; j += kKeys) {
    const std::int64_t key_end = std::min(task.end, j + kKeys);
    for (std::int64_t i = j; i < task.end; i += kQueries) {
      const std::int64_t rows = std::min(kQueries, task.end - i), cols = std::min(key_end, i + rows) - j;
      sgemm(rows, cols, h.q.d, scale, h.q.at(i), h.k.at(j, true), 0, p, kKeys);
      sgemm(rows, cols, h.v.d, 1, h.d_o.at(i), h.v.at(j, true), 0, ds, kKeys);
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t seen = std::min(i + r + 1 - j, cols);
        float *pr = p + r * kKeys, *dr = ds + r * kKeys;
        const float l = h.lse[i + r], d = dot[i + r - task.begin];
#pragma omp simd
        for (std::int64_t c = 0; c < seen; ++c) {
          pr[c] = exp_f32(pr[c] - l);
          dr[c] = pr[c] * (dr[c] - d) * scale;
        }
        std::fill(pr + seen, pr + cols, 0.0f);
        std::fill(dr + seen, dr + cols, 0.0f);
      }
      // Gradients add up over tiles, and the first tile reaches only the keys up to its own queries: clear them all
      // first.
      if (i == j) {
        for (std::int64_t t = j; t < key_end; ++t) {
          std::fill_n(h.dk[t], h.dk.d, 0.0f);
          std::fill_n(h.dv[t], h.dv.d, 0.0f);
        }
      }
      sgemm(cols, h.dv.d, rows, 1, {p, kKeys, true}, h.d_o.at(i), 1, h.dv[j], h.dv.stride);
      sgemm(cols, h.dk.d, rows, 1, {ds, kKeys, true}, h.q.at(i), 1, h.dk[j], h.dk.stride);
      sgemm(rows, h.dq.d, cols, 1, {ds, kKeys}, h.k.at(j), j == task.begin ? 0.0f : 1.0f, h.dq[i], h.dq.stride);
    }
  }
}

}  // namespace

void attention(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale, View o,
               View lse) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::attention(stream, q, k, v, heads, documents, scale, o, lse);
  const Rows query = rows_of(q, {"attention", "q"});
  const std::int64_t tokens = query.rows;
  check_documents(documents.cu_seqlens, tokens, heads, "attention");
  const Rows key = rows_of(k, tokens, query.cols, {"attention", "k"}),
             value = rows_of(v, tokens, -1, {"attention", "v"});
  const Rows out = rows_of(o, tokens, value.cols, {"attention", "o"}),
             log_sum = rows_of(lse, heads, tokens, {"attention", "lse"});
  const std::vector<Task> tasks = tasks_of(documents.cu_seqlens, heads, kQueries);
#pragma omp parallel if (tasks.size() > 1)
  {
    float* room = scratch<float>(kQueries * (kKeys + 2));
#pragma omp for schedule(dynamic)
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const Task& task = tasks[i];
      forward_tile(task, head_of(query, task.head, heads), head_of(key, task.head, heads),
                   head_of(value, task.head, heads), head_of(out, task.head, heads), log_sum[task.head], scale, room);
    }
  }
}

void attention_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                        const Documents& documents, float scale, View dq, View dk, View dv,
                        [[maybe_unused]] bool deterministic) {
  if constexpr (device::kCuda)
    if (stream.on_gpu())
      return cuda::attention_backward(stream, q, k, v, o, lse, d_o, heads, documents, scale, dq, dk, dv, deterministic);
  const char* op = "attention_backward";
  const Rows query = rows_of(q, {op, "q"});
  const std::int64_t tokens = query.rows, d_qk = query.cols;
  check_documents(documents.cu_seqlens, tokens, heads, op);
  const Rows key = rows_of(k, tokens, d_qk, {op, "k"}), value = rows_of(v, tokens, -1, {op, "v"});
  const Rows out = rows_of(o, tokens, value.cols, {op, "o"}), log_sum = rows_of(lse, heads, tokens, {op, "lse"});
  const Rows d_out = rows_of(d_o, tokens, value.cols, {op, "d_o"}), d_query = rows_of(dq, tokens, d_qk, {op, "dq"});
  const Rows d_key = rows_of(dk, tokens, d_qk, {op, "dk"}), d_value = rows_of(dv, tokens, value.cols, {op, "dv"});
  const std::vector<Task> tasks = tasks_of(documents.cu_seqlens, heads, std::max<std::int64_t>(tokens, 1));
#pragma omp parallel if (tasks.size() > 1)
  {
    float* room = scratch<float>(2 * kQueries * kKeys + tokens);
#pragma omp for schedule(dynamic)
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const auto head = [&](const Rows& m) { return head_of(m, tasks[i].head, heads); };
      backward_document(tasks[i],
                        {head(query), head(key), head(value), head(out), head(d_out), head(d_query), head(d_key),
                         head(d_value), log_sum[tasks[i].head]},
                        scale, room);
    }
  }
}

}  // namespace eddy::kernels
