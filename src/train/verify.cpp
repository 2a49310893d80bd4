#include "train/verify.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>

#include "base/log.h"
#include "checkpoint/model_source.h"
#include "hf/safetensors.h"
#include "pipeline/runner.h"

namespace eddy::train {
using model::MicroBatch;
using parallel::Group;
using parallel::Parameter;
using tensor::View;

namespace {

/// Σ(a-b)², Σb², max|a-b|, max|b| of one quantity, gathered in pieces over the ranks.
struct Difference {
  double squares = 0, reference = 0, worst = 0, peak = 0;
  void add(double a, double b) {
    const double d = a - b;
    squares += d * d;
    reference += b * b;
    worst = std::isnan(d) ? d : std::max(worst, std::abs(d));
    peak = std::max(peak, std::abs(b));
  }
};

class Golden {
 public:
  explicit Golden(const std::filesystem::path& path) : file_(path), name_(path.filename().string()) {}
  bool has(const std::string& name) const { return file_.tensors().count(name) > 0; }
  const float* f32(const std::string& name, const std::vector<std::int64_t>& shape) const {
    return reinterpret_cast<const float*>(get(name, Dtype::f32, &shape));
  }
  double scalar(const std::string& name) const {
    return *reinterpret_cast<const float*>(get(name, Dtype::f32, nullptr));
  }
  const std::int64_t* ids(std::int64_t& rows, std::int64_t& length) const {
    const auto* data = reinterpret_cast<const std::int64_t*>(get("input_ids", Dtype::i64, nullptr));
    const auto& shape = file_.tensors().at("input_ids").shape;
    if (shape.size() != 2 || shape[0] < 1 || shape[1] < 2)
      fail_input("{}: input_ids must be [sequences, tokens]", name_);
    rows = shape[0];
    length = shape[1];
    return data;
  }

 private:
  const std::byte* get(const std::string& name, Dtype dtype, const std::vector<std::int64_t>* shape) const {
    const auto it = file_.tensors().find(name);
    if (it == file_.tensors().end())
      fail_input("{}: the golden file has no tensor {} (docs/golden.md lists what it must hold)", name_, name);
    if (it->second.dtype != dtype)
      fail_input("{}: {} is {}, not {}", name_, name, name_of(it->second.dtype), name_of(dtype));
    if (shape && it->second.shape != *shape)
      fail_input("{}: {} is {}, the model's is {}", name_, name, tensor::Shape(it->second.shape).text(),
                 tensor::Shape(*shape).text());
    return it->second.bytes.data();
  }
  hf::SafetensorsFile file_;
  std::string name_;
};

/// Sums each gradient over its replicas, as the optimizer would.
void reduce_gradients(const parallel::Groups& groups, const parallel::ParameterStore& store, bool mtp) {
  const device::Stream& stream = store.stream();
  const Parameter* table = store.find("model.embed_tokens.weight");
  if (mtp && groups.tied->size() > 1 && table)  // without MTP the last stage has no copy
    groups.tied->all_reduce(table->grad.data, static_cast<std::size_t>(table->grad.numel()), Dtype::f32,
                            comm::Reduce::sum, stream);
  for (const Group kind : parallel::ParameterStore::kKinds) {
    const View flat = store.flat_grads(kind);
    groups.of(kind).all_reduce(flat.data, static_cast<std::size_t>(flat.numel()), Dtype::f32, comm::Reduce::sum,
                               stream);
  }
}

/// Compares this rank's block of a parameter's gradient with the same block of the whole.
void compare_block(const device::Stream& stream, const Parameter& p, const float* whole, Difference& d) {
  const tensor::Tensor grad = tensor::to_host(stream, p.grad);
  const auto& info = p.info;
  const std::size_t n = info.extent.size();
  std::vector<std::int64_t> at(n, 0);
  for (std::int64_t i = 0; i < info.numel(); ++i) {
    std::int64_t global = 0;
    for (std::size_t a = 0; a < n; ++a) global = global * info.global_shape[a] + info.begin[a] + at[a];
    d.add(grad.f32()[i], whole[global]);
    for (std::size_t a = n; a-- > 0 && ++at[a] == info.extent[a];) at[a] = 0;
  }
}

void reduce(comm::Communicator& world, std::vector<Difference>& all) {
  std::vector<double> sums, peaks;
  for (const auto& d : all) {
    sums.insert(sums.end(), {d.squares, d.reference});
    peaks.insert(peaks.end(), {std::isnan(d.worst) ? HUGE_VAL : d.worst, d.peak});
  }
  world.all_reduce(sums.data(), sums.size(), Dtype::f64, comm::Reduce::sum);
  world.all_reduce(peaks.data(), peaks.size(), Dtype::f64, comm::Reduce::max);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = {sums[2 * i], sums[2 * i + 1], peaks[2 * i], peaks[2 * i + 1]};
}

Comparison comparison(const std::string& name, const Difference& d, double tolerance, double floor = 0) {
  return {name, std::sqrt(d.squares) / std::max(std::sqrt(d.reference), std::max(floor, 1e-300)),
          d.worst / std::max(d.peak, 1e-300), tolerance};
}

/// This replica's sequences as micro-batches of one row; replicas beyond the sequences get rows of padding.
std::vector<MicroBatch> batches_of(const hf::ModelConfig& config, const parallel::Groups& groups,
                                   const std::int64_t* ids, std::int64_t rows, std::int64_t length) {
  const std::int64_t replicas = groups.layout.dp(), each = (rows + replicas - 1) / replicas;
  const std::vector<std::uint8_t> loss(static_cast<std::size_t>(length), 1);
  std::vector<MicroBatch> batches;
  for (std::int64_t r = groups.at.dp * each; r < (groups.at.dp + 1) * each; ++r) {
    std::vector<std::int32_t> row(static_cast<std::size_t>(length), 0);
    std::vector<std::int32_t> documents;
    if (r < rows) {
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t id = ids[r * length + i];
        if (id < 0 || id >= config.vocab_size)
          fail_input("golden file: input_ids holds {}, the vocabulary has {} entries", id, config.vocab_size);
        row[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(id);
      }
      documents.push_back(static_cast<std::int32_t>(length));
    }
    const model::Row packed{row, documents, loss};
    batches.push_back(model::make_micro_batch(std::span(&packed, 1), config.vocab_size, config.max_position_embeddings,
                                              groups.layout.tp));
  }
  return batches;
}

/// What does not depend on the type of numbers: the model, the golden file, the groups, the sequences.
struct Setup {
  const VerifyOptions& options;
  const checkpoint::ModelSource& source;
  const hf::ModelConfig& config;
  const Golden& golden;
  bool mtp;
  parallel::Groups groups;
  std::int64_t rows = 0, length = 0;
  model::StagePlan plan;
  std::vector<MicroBatch> batches;  // where options.stream runs

  Setup(comm::Communicator& world, const VerifyOptions& o, const checkpoint::ModelSource& s, const Golden& g)
      : options(o), source(s), config(s.config()), golden(g), mtp(g.has("mtp_loss")) {
    parallel::validate(o.layout, model::divisors(config));
    if (mtp && !source.has_mtp()) fail_input("{} has MTP results, the model has no MTP layer", o.golden.string());
    groups = parallel::make_groups(world, o.layout);
    parallel::attach_transports(groups, o.backend, o.stream);
    const std::int64_t* ids = golden.ids(rows, length);
    plan = model::plan_stages(config, o.layout.pp, mtp, length);
    batches = batches_of(config, groups, ids, rows, length);
    if (o.stream.on_gpu())
      for (MicroBatch& b : batches) b = model::to_device(o.stream, b);
  }
};

/// Each MoE layer's choices: by micro-batch and place in the stage.
using Choices = std::map<std::pair<std::int64_t, int>, std::vector<std::int32_t>>;

/// The model of one type on this rank, with what its one pass gave.
struct Pass {
  parallel::ParameterStore store;  // gradients summed over their replicas
  model::Stage stage;
  Difference logits[2];  // main, MTP
  double losses[2] = {0, 0};

  Pass(const Setup& s, Dtype dtype)
      : store(model::stage_parameters(s.config, s.options.layout, s.groups.world->rank(), s.plan, dtype), true,
              s.options.stream),
        stage(s.config, s.groups, s.plan, store, stage_options(s, dtype), s.options.stream) {
    for (const auto& p : store.all()) store.fill(p, [&](const Parameter& there) { s.source.fill(there); });
  }
  static model::StageOptions stage_options(const Setup& s, Dtype dtype) {
    model::StageOptions o;
    o.recompute = s.options.recompute;
    o.mtp = s.mtp;
    o.dtype = dtype;
    o.deterministic = s.options.deterministic;
    o.expert_capacity = s.options.expert_capacity;
    return o;
  }
  void compare_logits(const Setup& s);
  void run(const Setup& s);
};

/// Logits are compared as they appear; micro-batches come in order, so the row follows from a count of first tokens
/// seen.
void Pass::compare_logits(const Setup& s) {
  const std::int64_t rows = s.rows, vocab = s.config.vocab_size, lengths[2] = {s.length, s.length - 1};
  const float* wanted[2] = {s.golden.f32("logits", {rows, s.length, vocab}), nullptr};
  if (s.mtp && s.golden.has("mtp_logits")) wanted[1] = s.golden.f32("mtp_logits", {rows, s.length - 1, vocab});
  const std::int64_t first_row = s.groups.at.dp * static_cast<std::int64_t>(s.batches.size()),
                     vocab_begin = vocab * s.groups.at.tp / s.options.layout.tp;
  stage.on_logits = [=, this, tokens = s.batches[0].tokens, next_row = std::array{first_row, first_row}](
                        bool is_mtp, std::int64_t first, View block) mutable {
    std::int64_t& row = next_row[is_mtp];
    const float* want = wanted[is_mtp];
    const std::int64_t n = lengths[is_mtp];
    for (std::int64_t t = 0; want && row < rows && t < block.rows(); ++t)
      for (std::int64_t v = 0; first + t < n && v < block.cols(); ++v)
        logits[is_mtp].add(block.f32()[t * block.row_stride + v],
                           want[(row * n + first + t) * vocab + vocab_begin + v]);
    if (first + block.rows() == tokens) ++row;
  };
}

void Pass::run(const Setup& s) {
  const double mtp_weight = s.mtp ? s.golden.scalar("mtp_weight") : 0;
  const auto main_count = static_cast<double>(s.rows * (s.length - 1)),
             mtp_count = static_cast<double>(s.rows * (s.length - 2));
  const model::LossSums sums = pipeline::Runner(stage, s.groups, s.options.stream, store.dtype())
                                   .train(s.batches, {1 / main_count, mtp_weight / mtp_count, 0});
  double totals[2] = {sums.main, sums.mtp};
  s.groups.dp->all_reduce(totals, 2, Dtype::f64, comm::Reduce::sum);
  losses[0] = totals[0] / main_count;
  losses[1] = totals[1] / mtp_count;
  reduce_gradients(s.groups, store, s.mtp);
}

/// How many of `before` are missing among the k choices of the same token in `after`.
std::int64_t missing(const std::vector<std::int32_t>& before, View after) {
  const std::int64_t k = after.shape[1];
  std::int64_t n = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(before.size()); ++i) {
    const std::int32_t* row = after.i32() + i / k * k;
    n += std::find(row, row + k, before[static_cast<std::size_t>(i)]) == row + k ? 1 : 0;
  }
  return n;
}

/// The choices of a float32 pass.
Choices choices_in_float32(const Setup& s) {
  Choices choices;
  Pass pass(s, Dtype::f32);
  pass.stage.on_routing = [&](std::int64_t batch, int layer, View indices) {
    choices[{batch, layer}].assign(indices.i32(), indices.i32() + indices.numel());
  };
  pass.run(s);
  return choices;
}

/// Follows the compared pass's choices, and replaces them where they are to be replayed.
void follow_routing(const Setup& s, const Choices& choices, Pass& pass, RoutingChange& change) {
  pass.stage.on_routing = [&choices, &change, replay = s.options.replay_routing](std::int64_t batch, int layer,
                                                                                 View indices) {
    const auto& before = choices.at({batch, layer});
    change.choices += indices.numel();
    change.changed += missing(before, indices);
    if (replay) std::copy(before.begin(), before.end(), indices.i32());
  };
}

}  // namespace

std::vector<Comparison> verify(comm::Communicator& world, const VerifyOptions& options, RoutingChange* change) {
  const checkpoint::ModelSource source(options.model);
  const Golden golden(options.golden);
  const Setup s(world, options, source, golden);
  const hf::ModelConfig& config = s.config;
  const bool mtp = s.mtp;
  RoutingChange own;
  Choices choices;
  if (options.dtype != Dtype::f32) choices = choices_in_float32(s);
  Pass pass(s, options.dtype);
  if (options.dtype != Dtype::f32) follow_routing(s, choices, pass, own);
  pass.compare_logits(s);
  pass.run(s);
  if (change) {
    std::int64_t counts[2] = {own.choices, own.changed};
    world.all_reduce(counts, 2, Dtype::i64, comm::Reduce::sum);
    *change = {counts[0], counts[1]};
  }

  const auto parameters = model::all_parameters(config, mtp);
  std::vector<Difference> differences(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].trainable) continue;
    const float* whole = golden.f32("grad." + parameters[i].name, parameters[i].global_shape);
    const Parameter* p = pass.store.find(parameters[i].name);
    if (p && !p->info.tied_copy && s.groups.of(p->info.replicas).rank() == 0)
      compare_block(options.stream, *p, whole, differences[i]);
  }
  differences.push_back(pass.logits[0]);
  differences.push_back(pass.logits[1]);
  reduce(world, differences);

  std::vector<Comparison> out;
  Difference loss, mtp_loss;
  loss.add(pass.losses[0], golden.scalar("loss"));
  out.push_back(comparison("loss", loss, options.tolerance_logits));
  out.push_back(comparison("logits", differences[parameters.size()], options.tolerance_logits));
  if (mtp) {
    mtp_loss.add(pass.losses[1], golden.scalar("mtp_loss"));
    out.push_back(comparison("mtp_loss", mtp_loss, options.tolerance_logits));
    if (golden.has("mtp_logits"))
      out.push_back(comparison("mtp_logits", differences[parameters.size() + 1], options.tolerance_logits));
  }
  double squares = 0;
  std::size_t trainable = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i].trainable) squares += differences[i].reference, ++trainable;
  const double floor = 1e-3 * std::sqrt(squares / static_cast<double>(trainable));
  const std::size_t first_grad = out.size();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i].trainable)
      out.push_back(comparison("grad." + parameters[i].name, differences[i], options.tolerance_grad, floor));
  std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first_grad), out.end(),
                   [](const auto& a, const auto& b) { return a.error > b.error; });
  return out;
}

}  // namespace eddy::train
