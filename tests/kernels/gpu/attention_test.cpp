// Attention on the GPU, both ways by name and as the dispatcher chooses, against the CPU twin.
#include "kernels/attention/attention_cuda.h"

#include "base/error.h"
#include "padded.h"

using namespace eddy_test;  // NOLINT
using namespace eddy::kernels;

namespace {
using Ends = std::vector<std::int32_t>;

struct Heads {
  int n, d_qk, d_v;
};

/// Inputs in host memory, rounded to `dtype`, and what the CPU makes of them in float32.
struct Case {
  Case(const Ends& cu, Heads heads, Dtype type)
      : ends(cu),
        h(heads),
        dtype(type),
        tokens(cu.back()),
        scale(1 / std::sqrt(static_cast<float>(heads.d_qk))),
        q(random_tensor({tokens, h.n * h.d_qk}, 1, type)),
        k(random_tensor({tokens, h.n * h.d_qk}, 2, type)),
        v(random_tensor({tokens, h.n * h.d_v}, 3, type)),
        d_o(random_tensor({tokens, h.n * h.d_v}, 4, type)),
        o({tokens, h.n * h.d_v}),
        lse({h.n, tokens}),
        dq({tokens, h.n * h.d_qk}),
        dk({tokens, h.n * h.d_qk}),
        dv({tokens, h.n * h.d_v}) {
    attention({}, q, k, v, h.n, {ends}, scale, o, lse);
    attention_backward({}, q, k, v, o, lse, d_o, h.n, {ends}, scale, dq, dk, dv);
  }
  Ends ends;
  Heads h;
  Dtype dtype;
  std::int64_t tokens;
  float scale;
  Tensor q, k, v, d_o, o, lse, dq, dk, dv;
};

/// The same on the GPU; results are NaN before they are written.
struct OnGpu {
  OnGpu(const eddy::device::Stream& gpu, const Case& c, std::int64_t gap = 0)
      : q(gpu, c.q, c.dtype, gap),
        k(gpu, c.k, c.dtype, gap),
        v(gpu, c.v, c.dtype, gap),
        d_o(gpu, c.d_o, c.dtype, gap),
        o(empty(gpu, c.o, c.dtype, gap)),
        lse(empty(gpu, c.lse, Dtype::f32, gap)),
        dq(empty(gpu, c.dq, c.dtype, gap)),
        dk(empty(gpu, c.dk, c.dtype, gap)),
        dv(empty(gpu, c.dv, c.dtype, gap)),
        bounds(upload(gpu, bounds_of(c.ends), Dtype::i32)),
        documents{c.ends, bounds} {}
  static Padded empty(const eddy::device::Stream& gpu, View like, Dtype dtype, std::int64_t gap) {
    return Padded::poisoned(gpu, like.rows(), like.cols(), dtype, gap);
  }
  static Tensor bounds_of(const Ends& ends) {
    Tensor t({static_cast<std::int64_t>(ends.size())}, Dtype::i32);
    std::copy(ends.begin(), ends.end(), t.i32());
    return t;
  }
  Padded q, k, v, d_o, o, lse, dq, dk, dv;
  Tensor bounds;
  Documents documents;
};

/// lse as [heads, tokens] from [tokens, heads] in the same elements.
Tensor by_head(const Tensor& lse) {
  const std::int64_t heads = lse.shape()[0], tokens = lse.shape()[1];
  Tensor out({heads, tokens});
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t t = 0; t < tokens; ++t) out.f32()[h * tokens + t] = lse.f32()[t * heads + h];
  return out;
}

void check_forward(const Case& c, const OnGpu& g, double most, bool by_token = false) {
  CHECK(relative_error(g.o.host(), c.o) < most);
  const Tensor lse = g.lse.host();
  CHECK(relative_error(by_token ? by_head(lse) : copy_of(lse), c.lse) < 1e-4);
}
void check_gradients(const Case& c, const OnGpu& g, double most) {
  CHECK(relative_error(g.dv.host(), c.dv) < most);
  if (c.tokens == 1) return;  // dq and dk are then 0, up to rounding
  CHECK(relative_error(g.dq.host(), c.dq) < most);
  CHECK(relative_error(g.dk.host(), c.dk) < most);
}
void plain(const eddy::device::Stream& gpu, const Case& c, const OnGpu& g) {
  cuda::attention_plain(gpu, g.q, g.k, g.v, c.h.n, g.documents, c.scale, g.o, g.lse);
}
void plain_backward(const eddy::device::Stream& gpu, const Case& c, const OnGpu& g, bool by_token = false) {
  cuda::attention_plain_backward(gpu, g.q, g.k, g.v, g.o, g.lse, g.d_o, c.h.n, g.documents, c.scale, g.dq, g.dk, g.dv,
                                 by_token);
}
bool cudnn(const eddy::device::Stream& gpu, const Case& c, const OnGpu& g) {
  return cuda::attention_cudnn(gpu, g.q, g.k, g.v, c.h.n, g.documents, c.scale, g.o, g.lse);
}
bool cudnn_backward(const eddy::device::Stream& gpu, const Case& c, const OnGpu& g, bool deterministic) {
  return cuda::attention_cudnn_backward(gpu, g.q, g.k, g.v, g.o, g.lse, g.d_o, c.h.n, g.documents, c.scale, g.dq, g.dk,
                                        g.dv, deterministic);
}
bool same_gradients(const OnGpu& a, const OnGpu& b) {
  return same_bits(a.dq.host(), b.dq.host()) && same_bits(a.dk.host(), b.dk.host()) &&
         same_bits(a.dv.host(), b.dv.host());
}

// Empty documents at both ends and inside; one token; bounds around tiles of 64; many tiles.
const std::vector<Ends> kPacks = {
    {0, 1}, {0, 0, 3, 3, 10, 10}, {0, 63, 127, 192}, {0, 129, 130}, {0, 300}, {0, 5, 5, 90, 150, 151, 256, 256}};

}  // namespace

TEST_CASE("attention's plain kernels on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Ends& ends : kPacks)
    // the tiny model's heads, DeepSeek's, odd ones (element by element), each of the widths compiled for
    for (const Heads h : {Heads{4, 24, 16}, {2, 192, 128}, {3, 3, 5}, {2, 64, 64}, {2, 100, 72}, {1, 256, 200}})
      for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
        for (const std::int64_t gap : {0, 8, 3}) {
          CAPTURE(ends, h.n, h.d_qk, h.d_v, eddy::name_of(dtype), gap);
          const Case c(ends, h, dtype);
          const OnGpu g(*gpu, c, gap), again(*gpu, c, gap);
          for (const OnGpu* at : {&g, &again}) {
            plain(*gpu, c, *at);
            plain_backward(*gpu, c, *at);
          }
          const double most = dtype == Dtype::bf16 ? 8e-3 : 5e-6;
          check_forward(c, g, most);
          check_gradients(c, g, most);
          CHECK((same_bits(g.o.host(), again.o.host()) && same_bits(g.lse.host(), again.lse.host())));
          CHECK(same_gradients(g, again));
        }
}

TEST_CASE("attention's plain backward kernels take lse by token") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Case c({0, 70, 133}, {3, 24, 16}, Dtype::f32);
  const OnGpu g(*gpu, c);
  plain(*gpu, c, g);
  Tensor turned({c.h.n, c.tokens});
  const Tensor lse = g.lse.host();
  for (std::int64_t h = 0; h < c.h.n; ++h)
    for (std::int64_t t = 0; t < c.tokens; ++t) turned.f32()[t * c.h.n + h] = lse.f32()[h * c.tokens + t];
  const Tensor there = upload(*gpu, turned);
  cuda::attention_plain_backward(*gpu, g.q, g.k, g.v, g.o, there, g.d_o, c.h.n, g.documents, c.scale, g.dq, g.dk, g.dv,
                                 true);
  check_gradients(c, g, 5e-6);
}

TEST_CASE("attention by cuDNN") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const std::vector<Ends> packs = {{0, 256},
                                   {0, 0, 128, 128},
                                   {0, 100},
                                   {0, 64, 300},
                                   {0, 0, 3, 3, 130, 300},
                                   {0, 1, 130, 131, 300, 300},
                                   {0, 5, 17, 100, 150, 151, 180, 200, 280, 281, 384}};
  const bool hopper = eddy::device::gpu_info(0).major == 9;
  for (const Heads h : {Heads{4, 192, 128}, {4, 24, 16}})
    for (const Ends& ends : packs) {
      CAPTURE(ends, h.n, h.d_qk, h.d_v);
      const Case c(ends, h, Dtype::bf16);
      const OnGpu g(*gpu, c);
      const bool taken = cudnn(*gpu, c, g);
      const bool by_token =
          cuda::attention_cudnn_lse_by_token(*gpu, g.q, g.k, g.v, g.o, g.lse, h.n, g.documents, c.scale);
      std::fprintf(stderr, "cuDNN, heads %d of %d and %d, %zu documents, %d tokens: forward %s", h.n, h.d_qk, h.d_v,
                   ends.size() - 1, ends.back(),
                   !taken     ? "refused"
                   : by_token ? "taken, lse by token"
                              : "taken");
      if (hopper && h.d_qk == 192) CHECK(taken);
      if (!taken) {
        std::fprintf(stderr, "\n");
        CHECK(!by_token);
        continue;
      }
      check_forward(c, g, 1e-2, by_token);
      for (const bool deterministic : {true, false}) {
        CAPTURE(deterministic);
        const OnGpu again(*gpu, c);
        CHECK(cudnn(*gpu, c, again));
        const bool backward = cudnn_backward(*gpu, c, again, deterministic);
        std::fprintf(stderr, ", backward%s %s", deterministic ? " deterministic" : "", backward ? "taken" : "refused");
        if (hopper && h.d_qk == 192) CHECK(backward);
        if (!backward) continue;
        check_gradients(c, again, 2e-2);
        if (!deterministic) continue;
        const OnGpu repeat(*gpu, c);
        CHECK(cudnn(*gpu, c, repeat));
        CHECK(cudnn_backward(*gpu, c, repeat, true));
        CHECK(same_bits(repeat.o.host(), again.o.host()));
        CHECK(same_gradients(repeat, again));
      }
      std::fprintf(stderr, "\n");
      // Where only the backward pass is refused, the plain kernels read the lse that cuDNN left.
      plain_backward(*gpu, c, g, by_token);
      check_gradients(c, g, 2e-2);
    }
}

TEST_CASE("attention by cuDNN in groups of heads and documents") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  // 2 · 16 heads · 8192² would be 2 GiB: two calls of eight heads; then groups of documents too.
  for (const Ends& ends : {Ends{0, 8192}, Ends{0, 40, 6000, 6100, 8100}}) {
    const std::int64_t tokens = ends.back(), heads = 16;
    const auto matrix = [&](int d, unsigned seed) {
      return upload(*gpu, random_tensor({tokens, heads * d}, seed, Dtype::bf16), Dtype::bf16);
    };
    const auto empty = [&](int d) { return Padded::poisoned(*gpu, tokens, heads * d, Dtype::bf16); };
    const Tensor q = matrix(24, 1), k = matrix(24, 2), v = matrix(16, 3), d_o = matrix(16, 4);
    const Tensor bounds = upload(*gpu, OnGpu::bounds_of(ends), Dtype::i32);
    const Documents documents{ends, bounds};
    const Padded o = empty(16), lse = Padded::poisoned(*gpu, heads, tokens);
    if (!cuda::attention_cudnn(*gpu, q, k, v, heads, documents, 0.2f, o, lse)) return;
    const bool by_token = cuda::attention_cudnn_lse_by_token(*gpu, q, k, v, o, lse, heads, documents, 0.2f);
    const Padded dq = empty(24), dk = empty(24), dv = empty(16), pq = empty(24), pk = empty(24), pv = empty(16);
    const bool taken =
        cuda::attention_cudnn_backward(*gpu, q, k, v, o, lse, d_o, heads, documents, 0.2f, dq, dk, dv, true);
    std::fprintf(stderr, "cuDNN, 16 heads of 24 and 16, %zu documents, %d tokens: deterministic backward %s\n",
                 ends.size() - 1, ends.back(), taken ? "taken" : "refused");
    if (!taken) return;
    cuda::attention_plain_backward(*gpu, q, k, v, o, lse, d_o, heads, documents, 0.2f, pq, pk, pv, by_token);
    CAPTURE(ends);
    CHECK(relative_error(dq.host(), pq.host()) < 2e-2);
    CHECK(relative_error(dk.host(), pk.host()) < 2e-2);
    CHECK(relative_error(dv.host(), pv.host()) < 2e-2);
  }
}

TEST_CASE("attention on the GPU takes whichever way there is") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Ends& ends : {Ends{0, 0}, Ends{0, 128}, Ends{0, 17, 131}})
    for (const Heads h : {Heads{2, 192, 128}, {2, 24, 16}, {2, 12, 6}})
      for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
        for (const bool deterministic : {true, false}) {
          CAPTURE(ends, h.d_qk, h.d_v, eddy::name_of(dtype), deterministic);
          const Case c(ends, h, dtype);
          const OnGpu g(*gpu, c);
          attention(*gpu, g.q, g.k, g.v, h.n, g.documents, c.scale, g.o, g.lse);
          attention_backward(*gpu, g.q, g.k, g.v, g.o, g.lse, g.d_o, h.n, g.documents, c.scale, g.dq, g.dk, g.dv,
                             deterministic);
          const double most = dtype == Dtype::bf16 ? 2e-2 : 5e-6;
          CHECK(relative_error(g.o.host(), c.o) < most);
          check_gradients(c, g, most);
        }
}

TEST_CASE("attention on the GPU refuses what does not fit together") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Case c({0, 3}, {1, 4, 4}, Dtype::f32);
  const OnGpu g(*gpu, c);
  const auto with = [&](const Documents& documents, int heads) {
    attention(*gpu, g.q, g.k, g.v, heads, documents, 1, g.o, g.lse);
  };
  for (const Ends& ends : {Ends{}, Ends{0, 2}, Ends{1, 3}, Ends{0, 4, 3}})
    CHECK_THROWS_AS(with({ends, g.bounds}, 1), eddy::Error);
  CHECK_THROWS_AS(with({c.ends, {}}, 1), eddy::Error);
  CHECK_THROWS_AS(with(g.documents, 0), eddy::Error);
  CHECK_THROWS_AS(with(g.documents, 3), eddy::Error);
}
