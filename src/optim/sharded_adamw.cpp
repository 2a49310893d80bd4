#include "optim/sharded_adamw.h"

#include <cmath>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "kernels/adamw/adamw.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "optim/pieces.h"

namespace eddy::optim {
using parallel::Group;
using parallel::ParameterStore;
using tensor::Tensor;
using tensor::View;

std::int64_t owned_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan,
                            int member) {
  std::int64_t elements = 0;
  for (const auto& piece : plan.owned[static_cast<std::size_t>(member)]) {
    const auto& info = flat[static_cast<std::size_t>(piece.parameter)];
    if (!info.tied_copy) elements += (piece.end - piece.begin) * row_width(info);
  }
  return elements;
}

namespace {
/// Elements [at, at + n) of a flat tensor.
View part(View flat, std::int64_t at, std::int64_t n) {
  return flat.row_range(at, at + n);
}
}  // namespace

ShardedAdamw::ShardedAdamw(const ParameterStore& store, const parallel::Groups& groups, const AdamwOptions& options)
    : store_(store), groups_(groups), options_(options) {
  for (const Group group : ParameterStore::kKinds) {
    const auto infos = store.infos_of(group);
    const auto& comm = groups.of(group);
    Kind kind{group, parallel::zero_plan(infos, comm.size()), 0, {}, {}, {}, {}};
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
    const auto& stream = store.stream();
    kind.m = Tensor::zeros({state}, options.moments, stream);
    kind.v = Tensor::zeros({state}, options.moments, stream);
    if (store.dtype() != Dtype::f32) kind.master = Tensor::zeros({state}, Dtype::f32, stream);
    kinds_.push_back(std::move(kind));
  }
  squares_ = Tensor::zeros({1}, Dtype::f64, store.stream());
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
  const auto& stream = store_.stream();
  squares_.fill_zero();
  for (const auto& kind : kinds_) {
    if (kind.plan.total == 0) continue;
    const View grads = store_.flat_grads(kind.group);
    groups_.of(kind.group)
        .reduce_scatter_v(grads.data, grads.f32() + kind.offset, kind.plan.counts, Dtype::f32, stream);
    for (const auto& piece : kind.pieces)
      kernels::sum_of_squares(stream, part(grads, piece.value_offset, piece.numel), squares_);
  }
  return *tensor::to_host(stream, squares_).view().as<double>();
}

void ShardedAdamw::update(double lr, double scale) {
  ++updates_;
  const auto& stream = store_.stream();
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
    const View values = store_.flat_values(kind.group), grads = store_.flat_grads(kind.group);
    for (const auto& piece : kind.pieces) {
      step.weight_decay = piece.info.decay ? static_cast<float>(options_.weight_decay) : 0.0F;
      const std::int64_t n = piece.numel, state = piece.state_offset;
      const View value = part(values, piece.value_offset, n), grad = part(grads, piece.value_offset, n),
                 m = part(kind.m, state, n), v = part(kind.v, state, n);
      if (kind.master)
        kernels::adamw(stream, part(kind.master, state, n), grad, m, v, step, value);
      else
        kernels::adamw(stream, value, grad, m, v, step);
    }
    auto* all = static_cast<std::byte*>(values.data);
    groups_.of(kind.group)
        .all_gather_v(all + kind.offset * size_of(values.dtype), all, kind.plan.counts, values.dtype, stream);
  }
  for (const auto* p : tied_)
    groups_.tied->broadcast(p->value.data, static_cast<std::size_t>(p->value.numel()), p->value.dtype, 0, stream);
}

ShardedAdamw::Result ShardedAdamw::step(double lr, bool usable) {
  for (const auto* p : tied_)
    groups_.tied->all_reduce(p->grad.data, static_cast<std::size_t>(p->grad.numel()), Dtype::f32, comm::Reduce::sum,
                             store_.stream());
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

std::vector<tensor::Slice> ShardedAdamw::owned() const {
  std::vector<tensor::Slice> out;
  const auto add = [&](const char* prefix, const Piece& piece, View state) {  // the piece's elements
    for (const auto& box : boxes_of_rows(piece.info, piece.begin, piece.end)) {
      const std::int64_t at = box.offset - piece.begin * row_width(piece.info);
      out.push_back({prefix + piece.info.name, piece.info.global_shape, box.begin,
                     part(state, at, box.numel()).reshape(tensor::Shape(box.extent))});
    }
  };
  for (const auto& kind : kinds_) {
    const View values = store_.flat_values(kind.group);
    for (const auto& piece : kind.pieces)
      add("model/", piece,
          kind.master ? part(kind.master, piece.state_offset, piece.numel)
                      : part(values, piece.value_offset, piece.numel));
  }
  for (const auto& p : store_.all())
    if (!p.info.trainable && !p.info.tied_copy && groups_.of(p.info.replicas).rank() == 0) {
      out.push_back(p.slice());
      out.back().name = "model/" + p.info.name;
    }
  for (const auto& kind : kinds_)
    for (const auto& piece : kind.pieces)
      for (const auto& [prefix, moments] : {std::pair{"optim.m/", &kind.m}, std::pair{"optim.v/", &kind.v}})
        add(prefix, piece, part(*moments, piece.state_offset, piece.numel));
  return out;
}

void ShardedAdamw::take_master(const parallel::Parameter& p, View host) {
  const View flat = host.reshape({host.numel()});
  for (auto& kind : kinds_)
    for (const auto& piece : kind.pieces)
      if (kind.master && piece.info.name == p.info.name)
        tensor::put(store_.stream(), part(flat, piece.begin * row_width(piece.info), piece.numel),
                    part(kind.master, piece.state_offset, piece.numel));
}

void ShardedAdamw::fill(const std::function<void(const parallel::Parameter&)>& make) {
  for (const auto& p : store_.all())
    if (const Tensor host = store_.fill(p, make)) take_master(p, host);
}

void ShardedAdamw::load(const std::function<void(const tensor::Slice&)>& read) {
  fill([&](const parallel::Parameter& p) {
    tensor::Slice slice = p.slice();
    slice.name = "model/" + slice.name;
    read(slice);
  });
  for (auto& kind : kinds_)
    for (const auto& piece : kind.pieces)
      for (const auto& box : boxes_of_rows(piece.info, piece.begin, piece.end)) {
        const std::int64_t at = piece.state_offset + box.offset - piece.begin * row_width(piece.info);
        for (const auto& [prefix, moments] : {std::pair{"optim.m/", &kind.m}, std::pair{"optim.v/", &kind.v}}) {
          const View there = part(*moments, at, box.numel());
          const auto name = prefix + piece.info.name;
          if (!store_.stream().on_gpu() && there.dtype == Dtype::f32) {  // read to where it belongs
            read({name, piece.info.global_shape, box.begin, there.reshape(tensor::Shape(box.extent))});
            continue;
          }
          const Tensor host(tensor::Shape(box.extent));
          read({name, piece.info.global_shape, box.begin, host});
          tensor::put(store_.stream(), host.view().reshape({box.numel()}), there);
        }
      }
}

void ShardedAdamw::masters_from_values() {
  for (auto& kind : kinds_)
    for (const auto& piece : kind.pieces)
      if (kind.master)
        kernels::copy(store_.stream(), part(store_.flat_values(kind.group), piece.value_offset, piece.numel),
                      part(kind.master, piece.state_offset, piece.numel));
}

std::size_t ShardedAdamw::moment_bytes() const {
  std::size_t n = 0;
  for (const auto& kind : kinds_) n += kind.m.bytes() + kind.v.bytes();
  return n;
}
std::size_t ShardedAdamw::master_bytes() const {
  std::size_t n = 0;
  for (const auto& kind : kinds_) n += kind.master.bytes();
  return n;
}

}  // namespace eddy::optim
