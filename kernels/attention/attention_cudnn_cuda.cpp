// cuDNN's fused attention. cudnn-frontend writes the graph of operations that cuDNN's engines recognise: the composite
// one, since the single SDPA operation knows no causal bound before cuDNN 9.21. One document whose length is a multiple
// of 128 is a dense batch of one (other lengths would need a padding mask all the same); everything else is packed:
// documents padded to a number and a length that few plans serve, with their places in ragged offsets.
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn_frontend.h>

#include <algorithm>
#include <bit>
#include <compare>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "device/cuda_check.h"
#include "kernels/attention/attention_cuda.h"
#include "kernels/attention/attention_documents.h"
#include "kernels/attention/attention_shape.h"

namespace eddy::kernels::cuda {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using TensorHandle = std::shared_ptr<Tensor_attributes>;

constexpr std::int64_t kGranule = 128;  // tokens; cuDNN's tiles
/// What the probabilities' gradient of one call may take. cuDNN's deterministic kernels on Hopper keep it whole, in
/// bf16: heads · documents · longest². 4,096 tokens with 128 heads would be 4 GiB.
constexpr std::int64_t kGradientRoom = std::int64_t{1} << 30;
constexpr std::int64_t kFewDocuments = 8, kManyDocuments = 64;

/// What a plan is made for.
struct PlanKey {
  bool backward = false, packed = false, deterministic = false;
  std::int64_t batch = 1, heads = 0, all_heads = 0;  // all_heads: those of a row, of which the call takes `heads`
  std::int64_t longest = 0, tokens = 0;              // tokens: bounds what all documents hold
  std::int64_t d_qk = 0, d_v = 0;
  float scale = 1;
  auto operator<=>(const PlanKey&) const = default;
};

enum Id : std::int64_t {
  kQ = 1,
  kK,
  kV,
  kO,
  kStats,
  kDo,
  kDq,
  kDk,
  kDv,
  kQkOffsets,
  kVOffsets,
  kStatsOffsets,
  kLengths
};

struct Plan {
  fe::graph::Graph graph;
  std::int64_t workspace = 0;
  std::string refusal;  // cuDNN's reason; empty where the plan can run
};

class GraphBuilder {
 public:
  GraphBuilder(fe::graph::Graph& graph, const PlanKey& key) : graph_(graph), key_(key) {
    graph.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    if (!key.packed) return;
    qk_offsets_ = list(kQkOffsets, key.batch + 1, fe::DataType_t::INT64);
    v_offsets_ = list(kVOffsets, key.batch + 1, fe::DataType_t::INT64);
    stats_offsets_ = list(kStatsOffsets, key.batch + 1, fe::DataType_t::INT64);
    lengths_ = list(kLengths, key.batch, fe::DataType_t::INT32);
  }

  void forward() {
    auto options = fe::graph::SDPA_attributes().set_generate_stats(true).set_implementation(
        fe::AttentionImplementation_t::COMPOSITE);
    common(options);
    auto [o, stats] = graph_.sdpa(qk(kQ), qk(kK), v(kV), options);
    value(output(o, kO));
    statistics(output(stats, kStats));
  }
  void backward() {
    auto options = fe::graph::SDPA_backward_attributes().set_deterministic_algorithm(key_.deterministic);
    common(options);
    // Else the workspace is sized for documents that are all of the greatest length.
    if (key_.packed) options.set_max_total_seq_len_q(key_.tokens).set_max_total_seq_len_kv(key_.tokens);
    TensorHandle stats = input(kStats);
    statistics(stats);
    auto [dq, dk, dv] = graph_.sdpa_backward(qk(kQ), qk(kK), v(kV), v(kO), v(kDo), stats, options);
    query(output(dq, kDq));
    query(output(dk, kDk));
    value(output(dv, kDv));
  }

 private:
  template <class Options>
  void common(Options& options) const {
    options.set_name("attention").set_causal_mask(true).set_attn_scale(key_.scale);
    if (key_.packed) options.set_padding_mask(true).set_seq_len_q(lengths_).set_seq_len_kv(lengths_);
  }
  TensorHandle input(Id id) { return graph_.tensor(Tensor_attributes().set_uid(id)); }
  static const TensorHandle& output(const TensorHandle& t, Id id) {
    t->set_output(true).set_uid(id);
    return t;
  }
  TensorHandle list(Id id, std::int64_t n, fe::DataType_t type) {
    return graph_.tensor(
        Tensor_attributes().set_uid(id).set_dim({n, 1, 1, 1}).set_stride({1, 1, 1, 1}).set_data_type(type));
  }
  /// [batch, heads, longest, d], rows of all_heads · d elements.
  void lay_out(const TensorHandle& t, std::int64_t d, const TensorHandle& offsets) const {
    const std::int64_t row = key_.all_heads * d;
    t->set_dim({key_.batch, key_.heads, key_.longest, d}).set_stride({key_.longest * row, d, row, 1});
    if (key_.packed) t->set_ragged_offset(offsets);
  }
  void query(const TensorHandle& t) const { lay_out(t, key_.d_qk, qk_offsets_); }
  void value(const TensorHandle& t) const { lay_out(t, key_.d_v, v_offsets_); }
  TensorHandle qk(Id id) {
    TensorHandle t = input(id);
    query(t);
    return t;
  }
  TensorHandle v(Id id) {
    TensorHandle t = input(id);
    value(t);
    return t;
  }
  /// Packed [tokens, all_heads]: ragged offsets count whole tokens. Dense [heads, tokens].
  void statistics(const TensorHandle& t) const {
    t->set_data_type(fe::DataType_t::FLOAT).set_dim({key_.batch, key_.heads, key_.longest, 1}).set_alignment(4);
    if (key_.packed)
      t->set_stride({key_.longest * key_.all_heads, 1, key_.all_heads, 1}).set_ragged_offset(stats_offsets_);
    else
      t->set_stride({key_.heads * key_.longest, key_.longest, 1, 1});
  }

  fe::graph::Graph& graph_;
  const PlanKey& key_;
  TensorHandle qk_offsets_, v_offsets_, stats_offsets_, lengths_;
};

/// Kept with each stream: the handle, and the plans.
class Cudnn {
 public:
  explicit Cudnn(const Stream& stream) {
    int device = 0, major = 0;
    device::check(cudaGetDevice(&device));
    device::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    if (major < 9) {
      unusable_ = "needs compute capability 9.0";
      return;
    }
    cudnnStatus_t status = cudnnCreate(&handle_);
    if (status == CUDNN_STATUS_SUCCESS) status = cudnnSetStream(handle_, device::native(stream));
    if (status != CUDNN_STATUS_SUCCESS) unusable_ = cudnnGetErrorString(status);
  }
  ~Cudnn() {
    if (handle_) (void)cudnnDestroy(handle_);
  }
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  /// The plan where cuDNN has one; else null, and the first time cuDNN's reason goes to the log.
  Plan* find(const PlanKey& key) {
    Plan& plan = unusable_.empty() ? plan_of(key) : none_;
    if (unusable_.empty() && plan.refusal.empty()) return &plan;
    refuse(key, unusable_.empty() ? plan.refusal : unusable_);
    return nullptr;
  }
  void refuse(const PlanKey& key, const std::string& reason) {
    if (std::exchange(told_, true)) return;
    log::warning("attention: cuDNN does not take {} heads of {} and {} ({}{}): {}; slower kernels of our own do",
                 key.all_heads, key.d_qk, key.d_v, key.packed ? "packed documents" : "one document",
                 key.backward ? ", backward" : "", reason.substr(0, 400));
  }
  void run(const Plan& plan, std::unordered_map<std::int64_t, void*>& pointers, void* workspace) const {
    auto error = plan.graph.execute(handle_, pointers, workspace);
    if (error.is_bad()) fail_run("cuDNN's attention failed: {}", error.get_message());
  }

 private:
  Plan& plan_of(const PlanKey& key) {
    if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
    Plan& plan = plans_[key];
    try {
      auto error = build(plan, key);
      if (error.is_bad()) plan.refusal = error.get_message().empty() ? "no reason given" : error.get_message();
    } catch (const std::exception& e) {
      plan.refusal = e.what();
    }
    return plan;
  }
  fe::error_t build(Plan& plan, const PlanKey& key) {
    GraphBuilder builder(plan.graph, key);
    if (key.backward)
      builder.backward();
    else
      builder.forward();
    auto& graph = plan.graph;
    if (auto e = graph.validate(); e.is_bad()) return e;
    if (auto e = graph.build_operation_graph(handle_); e.is_bad()) return e;
    if (auto e = graph.create_execution_plans({fe::HeurMode_t::A}); e.is_bad()) return e;
    if (auto e = graph.check_support(); e.is_bad()) return e;
    if (auto e = graph.build_plans(); e.is_bad()) return e;
    return graph.get_workspace_size(plan.workspace);
  }

  cudnnHandle_t handle_ = nullptr;
  std::string unusable_;
  bool told_ = false;
  std::map<PlanKey, Plan> plans_;
  Plan none_;
};

/// One call of cuDNN: so many documents from one on, and key.heads heads from one on.
struct Call {
  PlanKey key;
  std::size_t first_document = 0, documents = 1;
  int first_head = 0;
  Plan* plan = nullptr;
};

std::int64_t power_of_two(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n)));
}
std::int64_t whole_granules(std::int64_t n) {
  return (n + kGranule - 1) / kGranule * kGranule;
}
std::int64_t gradient_bytes(std::int64_t batch, std::int64_t heads, std::int64_t longest) {
  return batch * heads * longest * longest * 2;
}

/// How one pass works through documents and heads.
class Planner {
 public:
  Planner(const AttentionShape& shape, std::span<const std::int32_t> cu, PlanKey key) : cu_(cu), key_(key) {
    key_.all_heads = key_.heads = shape.heads;
    key_.d_qk = shape.d_qk;
    key_.d_v = shape.d_v;
    key_.tokens = whole_granules(shape.tokens);
    begin_ = 0;
    end_ = cu.size() - 1;
    while (cu[begin_ + 1] == 0) ++begin_;  // leave out empty documents at either end: padding, as a rule
    while (cu[end_ - 1] == shape.tokens) --end_;
    key_.packed = end_ - begin_ > 1 || shape.tokens % kGranule != 0;
  }
  bool packed() const { return key_.packed; }

  std::vector<Call> calls() const {
    std::vector<Call> calls;
    if (!key_.packed) {
      PlanKey key = key_;
      key.longest = key.tokens;
      add(calls, key, begin_, end_);
    } else if (!key_.deterministic) {
      PlanKey key = key_;
      const auto n = static_cast<std::int64_t>(end_ - begin_);
      key.batch = n == 1 ? 1 : std::max(kFewDocuments, power_of_two(n));
      key.longest = padded(longest(begin_, end_));
      add(calls, key, begin_, end_);
    } else {
      for (std::size_t d = begin_; d < end_;) {
        std::size_t last = d + 1;
        while (last < end_ && static_cast<std::int64_t>(last + 1 - d) <= batch_for(padded(longest(d, last + 1))))
          ++last;
        PlanKey key = key_;
        key.longest = padded(longest(d, last));
        key.batch = batch_for(key.longest);
        add(calls, key, d, last);
        d = last;
      }
    }
    return calls;
  }

 private:
  std::int64_t longest(std::size_t from, std::size_t to) const {
    std::int32_t most = 1;
    for (std::size_t d = from; d < to; ++d) most = std::max(most, cu_[d + 1] - cu_[d]);
    return most;
  }
  std::int64_t padded(std::int64_t length) const {
    return std::min(std::max(kGranule, power_of_two(length)), key_.tokens);
  }
  /// Documents that a deterministic call takes with all heads: a function of their length, so that a length has one
  /// plan.
  std::int64_t batch_for(std::int64_t longest) const {
    std::int64_t batch = kManyDocuments;
    while (batch > 1 && gradient_bytes(batch, key_.all_heads, longest) > kGradientRoom) batch /= 2;
    return batch;
  }
  void add(std::vector<Call>& calls, PlanKey key, std::size_t first, std::size_t last) const {
    if (key.deterministic)
      while (key.heads > 1 && gradient_bytes(key.batch, key.heads, key.longest) > kGradientRoom)
        key.heads = key.heads % 2 == 0 ? key.heads / 2 : 1;
    for (std::int64_t h = 0; h < key.all_heads; h += key.heads)
      calls.push_back({key, first, last - first, static_cast<int>(h), nullptr});
  }

  std::span<const std::int32_t> cu_;
  PlanKey key_;
  std::size_t begin_ = 0, end_ = 0;
};

/// Why views of this shape are not even asked about, if so.
std::optional<std::string> unfit(const AttentionShape& s, std::initializer_list<const View*> views) {
  if (s.dtype != Dtype::bf16) return "only bf16";
  if (s.d_qk % 8 != 0 || s.d_v % 8 != 0) return "heads must be multiples of 8";
  // Transformer Engine keeps away from cuDNN's backward pass for other wide heads of two widths: wrong since 9.11.
  if (s.d_qk != s.d_v && s.d_qk >= 128 && s.d_v >= 128 && !(s.d_qk == 192 && s.d_v == 128))
    return "wide heads of two widths, other than 192 and 128";
  for (const View* view : views)
    if (!view->contiguous() || reinterpret_cast<std::uintptr_t>(view->data) % 16 != 0)
      return "matrices must be contiguous and aligned to 16 bytes";
  return std::nullopt;
}

/// The calls with their plans. Empty where one of them is refused.
std::vector<Call> planned(const Stream& stream, const AttentionShape& shape, const Documents& documents, PlanKey key,
                          std::initializer_list<const View*> views) {
  if (shape.dtype == Dtype::f32) return {};  // nothing that anybody would wonder about
  auto& cudnn = stream.state<Cudnn>();
  const Planner planner(shape, documents.cu_seqlens, key);
  std::vector<Call> calls = planner.calls();
  if (const auto reason = unfit(shape, views)) {
    cudnn.refuse(calls.front().key, *reason);
    return {};
  }
  for (Call& call : calls) {
    call.plan = cudnn.find(call.key);
    if (!call.plan) return {};
    // The forward pass, which decides on lse's layout for both, needs next to nothing.
    if (call.key.backward && static_cast<std::size_t>(call.plan->workspace) > stream.arena()->largest_free()) {
      cudnn.refuse(call.key, fmt::format("its workspace of {} bytes does not fit into the GPU memory that is left",
                                         call.plan->workspace));
      return {};
    }
  }
  return calls;
}

struct Operand {
  Id id;
  const View* view;
  int d;  // of a head; 0: the statistics
};

void execute(const Stream& stream, const AttentionShape& shape, const Documents& documents,
             const std::vector<Call>& calls, std::initializer_list<Operand> operands) {
  const auto& cudnn = stream.state<Cudnn>();
  for (const Call& call : calls) {
    const PlanKey& key = call.key;
    const std::int64_t first_token = documents.cu_seqlens[call.first_document];
    const auto entries = static_cast<std::size_t>(whole_granules(key.batch + 1));  // keeps the lists aligned
    const device::Scratch lists(stream, key.packed ? entries * (3 * sizeof(std::int64_t) + sizeof(std::int32_t)) : 0);
    const device::Scratch workspace(stream, static_cast<std::size_t>(call.plan->workspace));
    std::unordered_map<std::int64_t, void*> pointers;
    for (const auto& [id, view, d] : operands) {
      const std::int64_t elements = d > 0        ? (first_token * shape.heads + call.first_head) * d
                                    : key.packed ? first_token * shape.heads + call.first_head
                                                 : call.first_head * shape.tokens;
      pointers[id] = static_cast<std::byte*>(view->data) + elements * static_cast<std::int64_t>(size_of(view->dtype));
    }
    if (key.packed) {
      auto* longs = lists.as<std::int64_t>();
      const DocumentOffsets to{longs, longs + entries, longs + 2 * entries,
                               reinterpret_cast<std::int32_t*>(longs + 3 * entries)};
      document_offsets(stream, documents.on_device.i32() + call.first_document, static_cast<int>(call.documents),
                       static_cast<int>(key.batch), key.all_heads * key.d_qk, key.all_heads * key.d_v, key.all_heads,
                       to);
      pointers[kQkOffsets] = to.qk;
      pointers[kVOffsets] = to.v;
      pointers[kStatsOffsets] = to.stats;
      pointers[kLengths] = to.lengths;
    }
    cudnn.run(*call.plan, pointers, workspace.as<void>());
  }
}

PlanKey forward_key(float scale) {
  PlanKey key;
  key.scale = scale;
  return key;
}

}  // namespace

bool attention_cudnn(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale,
                     View o, View lse) {
  const AttentionShape shape = attention_shape(q, k, v, o, lse, heads, documents, "attention");
  if (shape.tokens == 0) return false;
  const auto calls = planned(stream, shape, documents, forward_key(scale), {&q, &k, &v, &o, &lse});
  if (calls.empty()) return false;
  const device::Span span(stream, "attention", attention_cost(shape, documents, 2, 1));
  execute(stream, shape, documents, calls,
          {{kQ, &q, shape.d_qk}, {kK, &k, shape.d_qk}, {kV, &v, shape.d_v}, {kO, &o, shape.d_v}, {kStats, &lse, 0}});
  return true;
}

bool attention_cudnn_lse_by_token(const Stream& stream, View q, View k, View v, View o, View lse, int heads,
                                  const Documents& documents, float scale) {
  const AttentionShape shape = attention_shape(q, k, v, o, lse, heads, documents, "attention");
  if (shape.tokens == 0) return false;
  const auto calls = planned(stream, shape, documents, forward_key(scale), {&q, &k, &v, &o, &lse});
  return !calls.empty() && calls.front().key.packed;
}

bool attention_cudnn_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                              const Documents& documents, float scale, View dq, View dk, View dv, bool deterministic) {
  const char* op = "attention_backward";
  const AttentionShape shape = attention_shape(q, k, v, o, lse, heads, documents, op);
  check_gradients(shape, d_o, dq, dk, dv, op);
  if (shape.tokens == 0) return false;
  // What the forward pass refused left lse in the other layout.
  if (planned(stream, shape, documents, forward_key(scale), {&q, &k, &v, &o, &lse}).empty()) return false;
  PlanKey key = forward_key(scale);
  key.backward = true;
  key.deterministic = deterministic;
  const auto calls = planned(stream, shape, documents, key, {&q, &k, &v, &o, &lse, &d_o, &dq, &dk, &dv});
  if (calls.empty()) return false;
  const device::Span span(stream, op, attention_cost(shape, documents, 5, 3));
  execute(stream, shape, documents, calls,
          {{kQ, &q, shape.d_qk},
           {kK, &k, shape.d_qk},
           {kV, &v, shape.d_v},
           {kO, &o, shape.d_v},
           {kStats, &lse, 0},
           {kDo, &d_o, shape.d_v},
           {kDq, &dq, shape.d_qk},
           {kDk, &dk, shape.d_qk},
           {kDv, &dv, shape.d_v}});
  return true;
}

}  // namespace eddy::kernels::cuda
