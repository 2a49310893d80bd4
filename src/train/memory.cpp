#include "train/memory.h"

#include <algorithm>

#include "base/error.h"
#include "base/process.h"
#include "base/units.h"
#include "model/parameters.h"

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
  return model::stage_parameters(model_, layout_, rank, stages_);
}

RankMemory MemoryPlan::of(int rank) {
  const auto at = parallel::coordinates(layout_, rank);
  const auto infos = parameters(rank);
  RankMemory m;
  for (const auto& info : infos) {
    const auto bytes = static_cast<std::size_t>(info.numel()) * sizeof(float);
    m.values += bytes;
    m.gradients += info.trainable ? bytes : 0;
  }
  for (int k = 0; k < 3; ++k) {
    std::vector<ParameterInfo> flat;
    for (const auto& info : infos)
      if (info.trainable && info.replicas == ParameterStore::kKinds[k]) flat.push_back(info);
    const auto group = parallel::members(layout_, ParameterStore::kKinds[k], rank);
    const auto [plan, fresh] = zero_.try_emplace({at.pp, k, at.tp});
    if (fresh) plan->second = parallel::zero_plan(flat, static_cast<int>(group.size()));
    const auto member = std::lower_bound(group.begin(), group.end(), rank) - group.begin();
    m.moments += optim::moment_bytes(flat, plan->second, static_cast<int>(member));
  }
  const auto [held, fresh] = activations_.try_emplace({at.pp, at.tp});
  if (fresh) {
    const model::StepShape shape{model_, layout_, rank, stages_, options_.stage, tokens_, rows_};
    const auto in_flight = static_cast<std::size_t>(std::min(layout_.pp - at.pp, micro_batches_));  // 1F1B
    held->second = in_flight * model::saved_bytes(shape, model::balanced_routing(shape));
  }
  m.activations = held->second;
  return m;
}

void require_memory(comm::Session& session, MemoryPlan& plan) {
  const auto available = static_cast<double>(available_bytes());
  const double need = static_cast<double>(plan.of(session.rank()).total()) * session.local_size();
  double worst = available > 0 ? need / available : 0;
  session.world().all_reduce(&worst, 1, Dtype::f64, comm::Reduce::max);
  if (worst <= 1) return;
  fail_input(
      "the run does not fit: the fullest host needs {:.2f} times the memory it has (rank {}'s host: {} for its {} "
      "ranks, {} "
      "available). More ranks on more hosts, a smaller train.micro_batch or train.seq_len, or train.recompute = full "
      "need "
      "less; --check prints every rank's memory",
      worst, session.rank(), bytes_text(need), session.local_size(), bytes_text(available));
}

}  // namespace eddy::train
