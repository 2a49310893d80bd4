#include "train/memory.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "base/units.h"
#include "model/parameters.h"
#include "parallel/dispatch.h"

namespace eddy::train {
using parallel::ParameterInfo;
using parallel::ParameterStore;

MemoryPlan::MemoryPlan(const hf::ModelConfig& model, const parallel::Layout& layout, const EngineOptions& options,
                       int rows, int micro_batches)
    : model_(model),
      layout_(layout),
      options_(options),
      tokens_((rows * options.seq_len + layout.tp - 1) / layout.tp * layout.tp),
      rows_(rows),
      micro_batches_(micro_batches),
      stages_(model::plan_stages(model, layout.pp, options.stage.mtp, options.seq_len)) {}

std::vector<ParameterInfo> MemoryPlan::parameters(int rank) const {
  return model::stage_parameters(model_, layout_, rank, stages_, options_.stage.dtype);
}

RankMemory MemoryPlan::of(int rank) {
  const auto at = parallel::coordinates(layout_, rank);
  const auto infos = parameters(rank);
  RankMemory m;
  for (const auto& info : infos)
    if (!info.trainable) m.values += static_cast<std::size_t>(info.numel()) * size_of(info.dtype);
  const parallel::Replicas replicas(layout_, options_.bucket_elements);
  for (int k = 0; k < 3; ++k) {
    const auto kind = ParameterStore::kKinds[k];
    std::vector<ParameterInfo> flat;
    for (const auto& info : infos)
      if (info.trainable && info.replicas == kind) flat.push_back(info);
    const auto [plan, fresh] = zero_.try_emplace({at.pp, k, at.tp});
    if (fresh) plan->second = parallel::zero_plan(flat, replicas.of(kind), replicas.bucket_elements);
    const auto all = static_cast<std::size_t>(plan->second.size);
    const auto own = static_cast<std::size_t>(optim::owned_elements(flat, plan->second));
    m.values += all * size_of(options_.stage.dtype);
    m.gradients += all * sizeof(float);
    m.moments += 2 * own * size_of(options_.adamw.moments);
    m.masters += options_.stage.dtype == Dtype::f32 ? 0 : own * sizeof(float);
    const auto group = parallel::members(layout_, kind, rank);
    const auto member = static_cast<int>(std::lower_bound(group.begin(), group.end(), rank) - group.begin());
    const auto saved = static_cast<std::size_t>(optim::saved_elements(flat, plan->second, member));
    m.checkpoint += saved * (sizeof(float) + 2 * size_of(options_.adamw.moments));
    if (member == 0)  // what is not trained is saved by the first replica
      for (const auto& info : infos)
        if (!info.trainable && !info.tied_copy && info.replicas == kind)
          m.checkpoint += static_cast<std::size_t>(info.numel()) * size_of(info.dtype);
  }
  const auto [held, fresh] = activations_.try_emplace({at.pp, at.tp});
  if (fresh) {
    const model::StepShape shape{model_, layout_, rank, stages_, options_.stage, tokens_, rows_};
    const auto in_flight = static_cast<std::size_t>(std::min(layout_.pp - at.pp, micro_batches_));  // 1F1B
    held->second = in_flight * model::saved_bytes(shape, model::planned_routing(shape));
  }
  m.activations = held->second;
  return m;
}

std::size_t MemoryPlan::working(int rank) const {
  const auto& c = model_;
  const auto own = static_cast<double>(tokens_) / layout_.tp, all = static_cast<double>(tokens_);
  const double heads = static_cast<double>(c.num_heads) / layout_.tp;
  // Attention's backward pass: q, k, v once more and their gradients, those of kv and of the latents.
  const double attention =
      all * (heads * (5.0 * c.qk_head_dim() + 4.0 * c.v_head_dim + c.qk_nope_head_dim) + 3.0 * c.hidden_size);
  // Experts' backward pass of a wave: rows and their gradients, or two of these; the activations and their gradients.
  // Rows exchanged: one for each rank a token visits, those arrived for one of the three.
  double moe = 0;
  if (c.n_routed_experts > 0) {
    const auto rows = parallel::planned_rows(tokens_ / layout_.tp, c.top_k, c.n_routed_experts, layout_.ep,
                                             options_.stage.expert_capacity);
    const int visits = layout_.ep > 1 ? std::min(c.top_k, layout_.ep) : 0;
    moe = static_cast<double>(rows) * (3.0 * c.hidden_size + 3.0 * c.moe_intermediate_size) +
          own * (visits + 2) * c.hidden_size;
  }
  const double dense = all * (2.0 * c.hidden_size + 3.0 * c.intermediate_size / layout_.tp);
  const bool last = parallel::coordinates(layout_, rank).pp == layout_.pp - 1;
  const double head = last ? std::min(all, static_cast<double>(options_.stage.head_chunk)) * c.vocab_size / layout_.tp +
                                 2 * all * c.hidden_size
                           : 0;
  return static_cast<std::size_t>(std::max({attention, moe, dense, head})) * size_of(options_.stage.dtype);
}

namespace {
void require_gpu_memory(comm::Session& session, const Device& device, MemoryPlan& plan) {
  const RankMemory m = plan.of(session.rank());
  const std::size_t working = plan.working(session.rank());
  const double need = static_cast<double>(m.total() + working), ratio = need / static_cast<double>(device.capacity);
  double worst = ratio;
  session.world().all_reduce(&worst, 1, Dtype::f64, comm::Reduce::max);
  const auto text = [](std::size_t bytes) { return bytes_text(static_cast<double>(bytes)); };
  const std::string sum = fmt::format(
      "parameters {}, gradients {}, masters {}, moments {}, activations {}, working memory {}: {} of {} that GPU {} "
      "({}) "
      "has for this rank",
      text(m.values), text(m.gradients), text(m.masters), text(m.moments), text(m.activations), text(working),
      bytes_text(need), text(device.capacity), device.index, device.name);
  if (worst <= 1) {
    log::info("memory of rank 0: {}", sum);
    return;
  }
  // The rank that is short of the most says its sum; where several are alike, the first of them.
  std::int64_t speaker = ratio == worst ? session.rank() : session.size();
  session.world().all_reduce(&speaker, 1, Dtype::i64, comm::Reduce::min);
  std::string message = fmt::format(
      "the run does not fit: rank {}: {}. train.recompute = selective or full, a smaller train.micro_batch or "
      "train.seq_len, optim.moments = bf16, or more ranks (parallel.tp, parallel.ep, parallel.pp, data parallelism) "
      "need "
      "less; --check prints every rank's memory",
      session.rank(), sum);
  auto size = static_cast<std::int64_t>(message.size());
  session.world().broadcast(&size, 1, Dtype::i64, static_cast<int>(speaker));
  message.resize(static_cast<std::size_t>(size));
  session.world().broadcast(message.data(), message.size(), Dtype::u8, static_cast<int>(speaker));
  fail_input("{}", message);
}
}  // namespace

void require_memory(comm::Session& session, const Device& device, MemoryPlan& plan, bool copies) {
  if (device.on_gpu()) require_gpu_memory(session, device, plan);
  const auto available = static_cast<double>(available_bytes());
  const RankMemory m = plan.of(session.rank());
  const double need =
      static_cast<double>((device.on_gpu() ? 0 : m.total()) + (copies ? m.checkpoint : 0)) * session.local_size();
  double worst = available > 0 ? need / available : 0;
  session.world().all_reduce(&worst, 1, Dtype::f64, comm::Reduce::max);
  if (worst <= 1) return;
  fail_input(
      "the run does not fit: the fullest host needs {:.2f} times the memory it has (rank {}'s host: {} for its {} "
      "ranks, {} "
      "available{}). More ranks on more hosts, {}need less; --check prints every rank's memory",
      worst, session.rank(), bytes_text(need), session.local_size(), bytes_text(available),
      copies ? fmt::format("; {} of it copies of the checkpoint being written",
                           bytes_text(static_cast<double>(m.checkpoint) * session.local_size()))
             : "",
      device.on_gpu() ? "or optim.moments = bf16 "
                      : fmt::format("a smaller train.micro_batch or train.seq_len, train.recompute = full{} ",
                                    copies ? ", or checkpoint.async = off" : ""));
}

}  // namespace eddy::train
