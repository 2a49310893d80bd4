#include "optim/sharded_adamw.h"

#include <cmath>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "kernels/adamw/adamw.h"
#include "kernels/reduce/reduce.h"
#include "optim/pieces.h"

namespace eddy::optim {
using parallel::Group;
using parallel::ParameterStore;

std::size_t moment_bytes(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan, int member) {
  std::int64_t elements = 0;
  for (const auto& piece : plan.owned[static_cast<std::size_t>(member)]) {
    const auto& info = flat[static_cast<std::size_t>(piece.parameter)];
    if (!info.tied_copy) elements += (piece.end - piece.begin) * row_width(info);
  }
  return static_cast<std::size_t>(elements) * 2 * sizeof(float);
}

ShardedAdamw::ShardedAdamw(const ParameterStore& store, const parallel::Groups& groups, const AdamwOptions& options)
    : store_(store), groups_(groups), options_(options) {
  for (const Group group : ParameterStore::kKinds) {
    const auto infos = store.infos_of(group);
    const auto& comm = groups.of(group);
    Kind kind{group, parallel::zero_plan(infos, comm.size()), 0, {}, {}, {}};
    const auto rank = static_cast<std::size_t>(comm.rank());
    kind.offset = std::accumulate(kind.plan.counts.begin(), kind.plan.counts.begin() + comm.rank(), std::size_t{0});
    std::int64_t at = static_cast<std::int64_t>(kind.offset), state = 0;
    for (const auto& piece : kind.plan.owned[rank]) {
      const auto& info = infos[static_cast<std::size_t>(piece.parameter)];
      const std::int64_t n = (piece.end - piece.begin) * row_width(info);
      if (!info.tied_copy) {
        kind.pieces.push_back({info, piece.begin, piece.end, at, state, n});
        state += n;
      }
      at += n;
    }
    if (at != static_cast<std::int64_t>(kind.offset + kind.plan.counts[rank]))
      fail_run("the ZeRO plan of group {} counts {} elements where its pieces have {}", comm.name(),
               kind.plan.counts[rank], at - static_cast<std::int64_t>(kind.offset));
    kind.m = tensor::Tensor::zeros({state});
    kind.v = tensor::Tensor::zeros({state});
    kinds_.push_back(std::move(kind));
  }
  find_tied();
}

/// The last stage says which tensors it holds copies of; the first one finds its own by their names.
void ShardedAdamw::find_tied() {
  auto& group = *groups_.tied;
  if (group.size() < 2) return;
  std::string names;
  for (const auto& p : store_.all())
    if (p.info.tied_copy && p.info.trainable) names += p.info.name + '\n';
  auto size = static_cast<std::int64_t>(names.size());
  group.broadcast(&size, 1, Dtype::i64, group.size() - 1);
  names.resize(static_cast<std::size_t>(size));
  group.broadcast(names.data(), names.size(), Dtype::u8, group.size() - 1);
  std::istringstream lines(names);
  for (std::string name; std::getline(lines, name);) tied_.push_back(&store_.at(name));
}

/// Leaves the summed gradient of this rank's rows in its part of the flat gradients; returns their squares' sum.
double ShardedAdamw::reduce() {
  double squares = 0;
  for (const auto& kind : kinds_) {
    if (kind.plan.total == 0) continue;
    float* grads = store_.flat_grads(kind.group).f32();
    groups_.of(kind.group).reduce_scatter_v(grads, grads + kind.offset, kind.plan.counts, Dtype::f32);
    for (const auto& piece : kind.pieces)
      squares += kernels::sum_of_squares({}, {grads + piece.value_offset, Dtype::f32, {piece.numel}});
  }
  return squares;
}

void ShardedAdamw::update(double lr, double scale) {
  ++updates_;
  const auto t = static_cast<double>(updates_);
  kernels::AdamwStep step{};
  step.lr = static_cast<float>(lr);
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.eps = static_cast<float>(options_.eps);
  step.grad_scale = static_cast<float>(scale);
  step.correction1 = static_cast<float>(1 - std::pow(options_.beta1, t));
  step.correction2 = static_cast<float>(1 - std::pow(options_.beta2, t));
  for (const auto& kind : kinds_) {
    if (kind.plan.total == 0) continue;
    float* values = store_.flat_values(kind.group).f32();
    float* grads = store_.flat_grads(kind.group).f32();
    for (const auto& piece : kind.pieces) {
      step.weight_decay = piece.info.decay ? static_cast<float>(options_.weight_decay) : 0.0F;
      const tensor::Shape shape{piece.numel};
      kernels::adamw({}, {values + piece.value_offset, Dtype::f32, shape},
                     {grads + piece.value_offset, Dtype::f32, shape},
                     {kind.m.f32() + piece.state_offset, Dtype::f32, shape},
                     {kind.v.f32() + piece.state_offset, Dtype::f32, shape}, step);
    }
    groups_.of(kind.group).all_gather_v(values + kind.offset, values, kind.plan.counts, Dtype::f32);
  }
  for (const auto* p : tied_)
    groups_.tied->broadcast(p->value.data, static_cast<std::size_t>(p->value.numel()), Dtype::f32, 0);
}

ShardedAdamw::Result ShardedAdamw::step(double lr, bool usable) {
  for (const auto* p : tied_)
    groups_.tied->all_reduce(p->grad.data, static_cast<std::size_t>(p->grad.numel()), Dtype::f32, comm::Reduce::sum);
  double squares = reduce();
  groups_.world->all_reduce(&squares, 1, Dtype::f64, comm::Reduce::sum);
  Result result;
  result.grad_norm = std::sqrt(squares);
  result.skipped = !usable || !std::isfinite(result.grad_norm);
  if (result.skipped) return result;
  const bool clip = options_.clip_norm > 0 && result.grad_norm > options_.clip_norm;
  update(lr, clip ? options_.clip_norm / result.grad_norm : 1.0);
  return result;
}

void ShardedAdamw::add_moments(std::vector<tensor::Slice>& out) const {
  for (const auto& kind : kinds_)
    for (const auto& piece : kind.pieces)
      for (const auto& box : boxes_of_rows(piece.info, piece.begin, piece.end)) {
        const std::int64_t at = piece.state_offset + box.offset - piece.begin * row_width(piece.info);
        for (const auto& [prefix, moments] : {std::pair{"optim.m/", &kind.m}, std::pair{"optim.v/", &kind.v}})
          out.push_back({prefix + piece.info.name,
                         piece.info.global_shape,
                         box.begin,
                         {moments->f32() + at, Dtype::f32, tensor::Shape(box.extent)}});
      }
}

std::vector<tensor::Slice> ShardedAdamw::owned() const {
  std::vector<tensor::Slice> out;
  for (const auto& kind : kinds_)
    for (const auto& piece : kind.pieces) {
      float* block = store_.at(piece.info.name).value.f32();
      for (const auto& box : boxes_of_rows(piece.info, piece.begin, piece.end))
        out.push_back({"model/" + piece.info.name,
                       piece.info.global_shape,
                       box.begin,
                       {block + box.offset, Dtype::f32, tensor::Shape(box.extent)}});
    }
  for (const auto& p : store_.all())
    if (!p.info.trainable && !p.info.tied_copy && groups_.of(p.info.replicas).rank() == 0) {
      out.push_back(p.slice());
      out.back().name = "model/" + p.info.name;
    }
  add_moments(out);
  return out;
}

std::vector<tensor::Slice> ShardedAdamw::needed() const {
  std::vector<tensor::Slice> out;
  for (const auto& p : store_.all()) {
    out.push_back(p.slice());
    out.back().name = "model/" + p.info.name;
  }
  add_moments(out);
  return out;
}

std::size_t ShardedAdamw::state_bytes() const {
  std::size_t n = 0;
  for (const auto& kind : kinds_) n += kind.m.bytes() + kind.v.bytes();
  return n;
}

}  // namespace eddy::optim
