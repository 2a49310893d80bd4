#include "bench_kernel_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "kernels/adamw/adamw.h"
#include "kernels/attention/attention.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/dispatch/dispatch.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embedding/embedding.h"
#include "kernels/permute/permute.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/router/router.h"
#include "kernels/swiglu/swiglu.h"
#include "model/stage.h"

namespace eddy {
namespace {

using namespace kernels;  // NOLINT: every call below is a kernel
using tensor::Shape;
using tensor::View;
using Call = std::function<void()>;

/// Token t's row of an embedding table, or what it is followed by: any, and some of them twice.
std::vector<std::int32_t> some_ids(std::int64_t n, std::int64_t below) {
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>((i * i * 31 + i * 7) % below));
  return ids;
}

/// The list, as it is written down.
class List {
 public:
  List(const SliceSizes& sizes, bool on_gpu) : z(sizes), gpu(on_gpu) {}
  std::vector<KernelCase> take() && { return std::move(cases); }

  void ceilings() {
    add("copy", fmt::format("{} float32", z.copy), 0, [z = z](OperandSet& s) -> Call {
      const View from = s.zeros({z.copy}, Dtype::f32), to = s.empty({z.copy}, Dtype::f32);
      return [&st = s.stream(), from, to] { copy(st, from, to); };
    });
    cases.push_back(dense_product("cube", z.cube, z.cube, z.cube, Way::forward));
  }
  void norms() {
    norm(z.hidden, 9, true);
    norm(z.q_lora, 4, false);
    norm(z.kv_lora, 4, false);
    add("add_rms_norm", rows(z.hidden), 0, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, z.hidden}), sum = s.random(x.shape), y = s.empty(x.shape),
                 w = s.random({z.hidden}), inverse = s.empty({z.tokens}, Dtype::f32);
      return [&st = s.stream(), x, sum, y, w, inverse] { add_rms_norm(st, x, sum, w, 1e-6f, y, inverse); };
    });
  }
  void attention_kernels() {
    const std::int64_t qk = z.nope + z.rope;
    add("rope", rows(z.heads * qk), 8, [z = z, qk](OperandSet& s) -> Call {
      const View q = s.random({z.tokens, z.heads * qk}), at = positions(s, z);
      return [&st = s.stream(), q, at, z, qk, table = table_of(z)] {
        kernels::rope(st, q, z.heads, static_cast<int>(qk), z.nope, at, table, false);
      };
    });
    add("mla_split_kv", rows(z.heads * (z.nope + z.value)), 4, [z = z, qk](OperandSet& s) -> Call {
      const View kv = s.random({z.tokens, z.heads * (z.nope + z.value)}), k_rope = s.random({z.tokens, z.rope}),
                 k = s.empty({z.tokens, z.heads * qk}), v = s.empty({z.tokens, z.heads * z.value}),
                 at = positions(s, z);
      return [&st = s.stream(), kv, k_rope, k, v, at, z, table = table_of(z)] {
        mla_split_kv(st, kv, k_rope, at, table, z.heads, z.nope, z.value, k, v);
      };
    });
    add("mla_split_kv_backward", rows(z.heads * (z.nope + z.value)), 4, [z = z, qk](OperandSet& s) -> Call {
      const View dkv = s.empty({z.tokens, z.heads * (z.nope + z.value)}), dk_rope = s.empty({z.tokens, z.rope}),
                 dk = s.random({z.tokens, z.heads * qk}), dv = s.random({z.tokens, z.heads * z.value}),
                 at = positions(s, z);
      return [&st = s.stream(), dkv, dk_rope, dk, dv, at, z, table = table_of(z)] {
        mla_split_kv_backward(st, dk, dv, at, table, z.heads, z.nope, z.value, dkv, dk_rope);
      };
    });
    for (const bool backward : {false, true})
      add(backward ? "attention_backward" : "attention", fmt::format("{} tokens, {} heads", z.tokens, z.heads), 4,
          [z = z, qk, backward](OperandSet& s) -> Call {
            const Shape wide{z.tokens, z.heads * qk}, narrow{z.tokens, z.heads * z.value};
            const View q = s.random(wide), k = s.random(wide), v = s.random(narrow), o = s.empty(narrow),
                       lse = s.empty({z.heads, z.tokens}, Dtype::f32), d_o = s.random(narrow);
            const std::vector<std::int32_t> ends{0, static_cast<std::int32_t>(z.tokens)};
            const View there = s.ints(ends, {2});
            const float scale = 1 / std::sqrt(static_cast<float>(qk));
            const auto forward = [&st = s.stream(), q, k, v, o, lse, ends, there, scale, heads = z.heads] {
              attention(st, q, k, v, heads, {ends, there}, scale, o, lse);
            };
            if (!backward) return forward;
            forward();
            const View dq = s.empty(wide), dk = s.empty(wide), dv = s.empty(narrow);
            return [&st = s.stream(), q, k, v, o, lse, d_o, ends, there, scale, dq, dk, dv, heads = z.heads] {
              attention_backward(st, q, k, v, o, lse, d_o, heads, {ends, there}, scale, dq, dk, dv, false);
            };
          });
  }
  void activations() {
    const std::int64_t pairs = z.tokens * z.top_k;
    for (const auto& [r, width, times, weighted] :
         {std::tuple{z.tokens, z.dense, 1, false}, std::tuple{z.tokens, z.expert, 3, false},
          std::tuple{pairs, z.expert, 3, true}}) {
      const std::string size = fmt::format("[{}, {}]", r, width);
      const Shape narrow{r, width}, wide{r, 2 * width}, one{r};
      add("swiglu", size, times, [=](OperandSet& s) -> Call {
        const View gate_up = s.random(wide), act = s.empty(narrow), w = weighted ? s.random(one, Dtype::f32) : View{};
        return [&st = s.stream(), gate_up, act, w] { swiglu(st, gate_up, act, w); };
      });
      add(weighted ? "swiglu_weighted_backward" : "swiglu_backward", size, times, [=](OperandSet& s) -> Call {
        const View gate_up = s.random(wide), dact = s.random(narrow), d = s.empty(wide);
        if (!weighted) return [&st = s.stream(), gate_up, dact, d] { swiglu_backward(st, dact, gate_up, d); };
        const View w = s.random(one, Dtype::f32), dw = s.empty(one, Dtype::f32), act = s.empty(narrow);
        return [&st = s.stream(), gate_up, dact, d, w, dw, act] {
          swiglu_weighted_backward(st, dact, gate_up, w, d, dw, act);
        };
      });
    }
  }
  void routing() {
    const auto config = [this] {
      RouterConfig c;
      c.experts = static_cast<int>(z.experts), c.top_k = z.top_k, c.groups = 8, c.groups_kept = 4, c.scaling = 2.5f;
      return c;
    };
    for (const bool backward : {false, true})
      add(backward ? "router_backward" : "router", rows(z.experts), 3,
          [z = z, c = config(), backward](OperandSet& s) -> Call {
            const Shape all{z.tokens, z.experts}, some{z.tokens, z.top_k};
            const View logits = s.random(all, Dtype::f32), bias = s.zeros({z.experts}, Dtype::f32),
                       scores = s.empty(all, Dtype::f32), weights = s.empty(some, Dtype::f32),
                       indices = s.empty(some, Dtype::i32), d = s.empty(all);
            const auto forward = [&st = s.stream(), logits, bias, c, scores, indices, weights] {
              router(st, logits, bias, {}, c, scores, indices, weights);
            };
            if (!backward) return forward;
            forward();
            return [&st = s.stream(), c, scores, indices, weights, d] {
              router_backward(st, weights, scores, indices, {}, c, d);
            };
          });
    const std::string pairs = fmt::format("[{}, {}]", z.tokens * z.top_k, z.hidden);
    add("sort_by_expert", rows(z.top_k), 3,
        [z = z](OperandSet& s) -> Call { return [&st = s.stream(), r = Routing(s, z)] { r.sort(st); }; });
    add("gather_rows", pairs, 6, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, z.hidden}), y = s.empty({z.tokens * z.top_k, z.hidden});
      return [&st = s.stream(), x, y, r = Routing(s, z)] { gather_rows(st, x, r.tokens, y); };
    });
    add("combine_rows", pairs, 6, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens * z.top_k, z.hidden}), y = s.random({z.tokens, z.hidden});
      return [&st = s.stream(), x, y, r = Routing(s, z)] { combine_rows(st, x, r.slots, {}, true, y); };
    });
  }
  void ends() {
    add("embedding", rows(z.hidden), 1, [z = z](OperandSet& s) -> Call {
      const View table = s.random({z.vocab, z.hidden}), ids = s.ints(some_ids(z.tokens, z.vocab), {z.tokens}),
                 y = s.empty({z.tokens, z.hidden});
      return [&st = s.stream(), table, ids, y] { embedding(st, table, ids, 0, y); };
    });
    add("embedding_backward", rows(z.hidden), 1, [z = z](OperandSet& s) -> Call {
      const View dtable = s.zeros({z.vocab, z.hidden}, Dtype::f32),
                 ids = s.ints(some_ids(z.tokens, z.vocab), {z.tokens}), dy = s.random({z.tokens, z.hidden});
      return [&st = s.stream(), dtable, ids, dy] { embedding_backward(st, dy, ids, 0, dtable); };
    });
    cross_entropy();
  }
  void flat() {
    add("adamw", fmt::format("{} parameters", z.flat), 60, [z = z, g = gpu](OperandSet& s) -> Call {
      const View p = s.random({z.flat}, Dtype::f32), grad = s.random({z.flat}, Dtype::f32),
                 m = s.zeros({z.flat}, Dtype::f32), v = s.zeros({z.flat}, Dtype::f32),
                 value = g ? s.empty({z.flat}) : View{};
      const AdamwStep step{1e-5f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.0f, 0.1f, 0.05f};
      return [&st = s.stream(), p, grad, m, v, value, step] { adamw(st, p, grad, m, v, step, value); };
    });
    add("sum_of_squares", fmt::format("{} float32", z.flat), 60, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.flat}, Dtype::f32), sum = s.zeros({1}, Dtype::f64);
      return [&st = s.stream(), x, sum] { sum_of_squares(st, x, sum); };
    });
    add("add", rows(z.hidden), 0, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, z.hidden}), y = s.random(x.shape);
      return [&st = s.stream(), x, y] { kernels::add(st, x, y); };
    });
    add("scale", rows(z.hidden), 0, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, z.hidden});
      return [&st = s.stream(), x] { scale(st, x, 0.999f); };
    });
    add("fill", rows(z.hidden), 0, [z = z](OperandSet& s) -> Call {
      const View x = s.empty({z.tokens, z.hidden});
      return [&st = s.stream(), x] { fill(st, x, 1); };
    });
    add("copy", "rows of " + rows(z.hidden), 0, [z = z](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, 2 * z.hidden}).col_range(0, z.hidden), y = s.empty({z.tokens, z.hidden});
      return [&st = s.stream(), x, y] { copy(st, x, y); };
    });
    if (gpu)
      add("copy", rows(z.hidden) + " to float32", 0, [z = z](OperandSet& s) -> Call {
        const View x = s.random({z.tokens, z.hidden}), y = s.empty(x.shape, Dtype::f32);
        return [&st = s.stream(), x, y] { copy(st, x, y); };
      });
  }

 private:
  const SliceSizes z;
  const bool gpu;
  std::vector<KernelCase> cases;

  void add(std::string operation, std::string size, int times, std::function<Call(OperandSet&)> make,
           std::string ceiling = "") {
    cases.push_back({std::move(operation), std::move(size), times, std::move(ceiling), std::move(make)});
  }
  std::string rows(std::int64_t width) const { return fmt::format("[{}, {}]", z.tokens, width); }
  static View positions(OperandSet& s, const SliceSizes& z) {
    std::vector<std::int32_t> at(static_cast<std::size_t>(z.tokens));
    std::iota(at.begin(), at.end(), 0);
    return s.ints(at, {z.tokens});
  }
  static RopeTable table_of(const SliceSizes& z) {
    RopeTable table;
    for (int i = 0; i < z.rope / 2; ++i) table.inverse_frequency.push_back(std::pow(1e4, -2.0 * i / z.rope));
    return table;
  }

  void norm(std::int64_t width, int times, bool residual) {
    add("rms_norm", rows(width), times, [z = z, width](OperandSet& s) -> Call {
      const View x = s.random({z.tokens, width}), w = s.random({width}), y = s.empty(x.shape),
                 inverse = s.empty({z.tokens}, Dtype::f32);
      return [&st = s.stream(), x, w, y, inverse] { rms_norm(st, x, w, 1e-6f, y, inverse); };
    });
    add("rms_norm_backward", rows(width) + (residual ? ", residual" : ""), times,
        [z = z, width, residual](OperandSet& s) -> Call {
          const View dy = s.random({z.tokens, width}), x = s.random(dy.shape), w = s.random({width}),
                     inverse = s.random({z.tokens}, Dtype::f32), by_pass = residual ? s.random(dy.shape) : View{},
                     dx = residual ? by_pass : s.empty(dy.shape), dw = s.zeros({width}, Dtype::f32);
          return [&st = s.stream(), dy, x, w, inverse, by_pass, dx, dw] {
            rms_norm_backward(st, dy, x, w, inverse, by_pass, dx, dw);
          };
        });
  }
  void cross_entropy() {
    const std::int64_t n = std::min<std::int64_t>(z.tokens, model::StageOptions{}.head_chunk);
    const auto make = [z = z, n](OperandSet& s, int which) -> Call {
      const View logits = s.random({n, z.vocab}), labels = s.ints(some_ids(n, z.vocab), {n}),
                 statistics = s.empty({3, n}, Dtype::f32), loss = s.zeros({1}, Dtype::f64);
      cross_entropy_statistics(s.stream(), logits, labels, 0, statistics);
      return [&st = s.stream(), logits, labels, statistics, loss, which] {
        if (which == 0) cross_entropy_statistics(st, logits, labels, 0, statistics);
        if (which == 1) cross_entropy_loss(st, labels, statistics, loss);
        if (which == 2) cross_entropy_backward(st, logits, labels, 0, statistics, 1e-3f);
      };
    };
    const char* const names[] = {"cross_entropy_statistics", "cross_entropy_loss", "cross_entropy_backward"};
    for (int which = 0; which < 3; ++which)
      add(names[which], fmt::format("[{}, {}]", n, z.vocab), static_cast<int>(z.tokens / n),
          [make, which](OperandSet& s) { return make(s, which); });
  }
};

}  // namespace

Routing::Routing(OperandSet& s, const SliceSizes& z) {
  std::vector<std::int32_t> choices, of(static_cast<std::size_t>(z.experts));
  std::iota(of.begin(), of.end(), 0);
  for (std::int64_t t = 0; t < z.tokens; ++t)
    for (int j = 0; j < z.top_k; ++j) {
      const auto left = static_cast<std::uint32_t>(z.experts - j);
      const std::uint32_t pick = philox(2, static_cast<std::uint64_t>(t), static_cast<std::uint64_t>(j))[0] % left;
      std::swap(of[static_cast<std::size_t>(j)], of[static_cast<std::size_t>(j) + pick]);
      choices.push_back(of[static_cast<std::size_t>(j)]);
    }
  chosen = s.ints(choices, {z.tokens, z.top_k});
  slots = s.empty({z.tokens, z.top_k}, Dtype::i32);
  pairs = s.empty({z.tokens * z.top_k}, Dtype::i32);
  tokens = s.empty({z.tokens * z.top_k}, Dtype::i32);
  counts = s.empty({z.experts}, Dtype::i64);
  offsets = s.empty({z.experts + 1}, Dtype::i64);
  sort(s.stream());
}
void Routing::sort(const device::Stream& stream) const {
  sort_by_expert(stream, chosen, slots, pairs, tokens, counts, offsets, {});
}

SliceSizes small_sizes() {
  SliceSizes z;
  z.tokens = 64, z.hidden = 256, z.q_lora = 96, z.kv_lora = 64, z.dense = 512, z.expert = 128, z.vocab = 512;
  z.cube = 256, z.flat = 1 << 16, z.copy = 1 << 20, z.heads = 4, z.nope = 16, z.rope = 8, z.value = 16;
  return z;
}

View OperandSet::empty(const Shape& shape, Dtype dtype) {
  held_.emplace_back(shape, dtype, *stream_);
  bytes_ += held_.back().bytes();
  return held_.back();
}
View OperandSet::zeros(const Shape& shape, Dtype dtype) {
  const View v = empty(shape, dtype);
  device::zero(*stream_, v.data, v.bytes());
  return v;
}
View OperandSet::random(const Shape& shape, Dtype dtype) {
  const View v = empty(shape, dtype), flat = v.reshape({v.numel()});
  for (std::int64_t at = 0; at < flat.numel();) {
    const std::int64_t n = std::min(flat.numel() - at, table_.numel() - at_);
    copy(*stream_, table_.row_range(at_, at_ + n), flat.row_range(at, at + n));
    at += n;
    at_ = (at_ + n) % table_.numel();
  }
  return v;
}
View OperandSet::ints(const std::vector<std::int32_t>& values, const Shape& shape) {
  const View v = empty(shape, Dtype::i32);
  device::copy_to_device(*stream_, values.data(), v.data, v.bytes());
  return v;
}

std::vector<KernelCase> kernel_cases(const SliceSizes& sizes, bool on_gpu) {
  List list(sizes, on_gpu);
  list.ceilings();
  list.norms();
  list.attention_kernels();
  list.activations();
  list.routing();
  list.ends();
  list.flat();
  std::vector<KernelCase> cases = std::move(list).take();
  for (KernelCase& c : product_cases(sizes)) cases.push_back(std::move(c));
  return cases;
}

}  // namespace eddy
