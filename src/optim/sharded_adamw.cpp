#include "optim/sharded_adamw.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "device/span.h"
#include "kernels/adamw/adamw.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "optim/pieces.h"

namespace eddy::optim {
using parallel::Group;
using parallel::ParameterStore;
using tensor::Tensor;
using tensor::View;

namespace {

bool holds_copy(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroBucket& bucket) {
  return std::any_of(flat.begin() + bucket.first, flat.begin() + bucket.last,
                     [](const auto& p) { return p.tied_copy; });
}

/// Elements [at, at + n) of a flat tensor.
View part(View flat, std::int64_t at, std::int64_t n) {
  return flat.row_range(at, at + n);
}

}  // namespace

std::int64_t owned_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan) {
  std::int64_t elements = 0;
  for (const auto& bucket : plan.buckets)
    if (!holds_copy(flat, bucket)) elements += bucket.part;
  return elements;
}
std::int64_t saved_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan,
                            int member) {
  std::int64_t elements = 0;
  for (const auto& bucket : plan.buckets)
    if (!holds_copy(flat, bucket))
      for (const auto& piece : parallel::zero_pieces(flat, plan, bucket, member)) elements += piece.end - piece.begin;
  return elements;
}

ShardedAdamw::ShardedAdamw(const ParameterStore& store, const parallel::Groups& groups, const AdamwOptions& options)
    : store_(store), groups_(groups), options_(options), lane_(device::lane(store.stream(), device::Lane::state)) {
  for (const Group group : ParameterStore::kKinds) {
    const auto& infos = store.infos_of(group);
    const auto& plan = store.plan_of(group);
    Kind& kind = kinds_.emplace_back(Kind{group, groups.of(group), {}, {}, {}, {}});
    if (plan.total > 0 && plan.members != kind.replicas.size())
      fail_run("the parameters of {} are laid out for {} ranks, it has {}", kind.replicas.name(), plan.members,
               kind.replicas.size());
    const int rank = kind.replicas.rank();
    std::int64_t state = 0;
    for (const auto& planned : plan.buckets) {
      Bucket& bucket = kind.buckets.emplace_back();
      bucket.plan = planned;
      if (holds_copy(infos, planned)) continue;
      const std::int64_t begin = planned.begin + rank * planned.part;
      for (const auto& [index, from, to] : parallel::zero_pieces(infos, plan, planned, rank)) {
        const std::int64_t at = plan.offsets[static_cast<std::size_t>(index)] + from;
        bucket.pieces.push_back({infos[static_cast<std::size_t>(index)], from, to, at, state + at - begin});
      }
      state += planned.part;
    }
    const auto& stream = store.stream();
    kind.m = Tensor::zeros({state}, options.moments, stream);
    kind.v = Tensor::zeros({state}, options.moments, stream);
    if (store.dtype() != Dtype::f32) kind.master = Tensor::zeros({state}, Dtype::f32, stream);
  }
  squares_ = Tensor::zeros({1}, Dtype::f64, store.stream());
  find_tied();
  for (Kind& kind : kinds_)
    for (Bucket& bucket : kind.buckets)
      for (int i = bucket.plan.first; i < bucket.plan.last; ++i)
        bucket.late |= std::count(tied_.begin(), tied_.end(), &store_.flat_at(kind.group, i)) > 0;
  for (Kind& kind : kinds_)
    for (Bucket& bucket : kind.buckets) order_.emplace_back(&kind, &bucket);
  std::sort(order_.begin(), order_.end(), [&](const auto& a, const auto& b) {
    return &first_of(*a.first, *a.second) < &first_of(*b.first, *b.second);
  });
  awaited_ = order_.size();
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

void ShardedAdamw::begin_sums(const parallel::Parameter& first) {
  for (Kind& kind : kinds_)
    for (std::size_t i = kind.buckets.size(); i-- > 0;) {
      Bucket& bucket = kind.buckets[i];
      if (!bucket.late && &first_of(kind, bucket) >= &first) begin_sum(kind, bucket);
    }
}

void ShardedAdamw::begin_sum(Kind& kind, Bucket& bucket) {
  if (bucket.begun) return;
  bucket.begun = true;
  begun_.emplace_back(&kind, &bucket);
  for (int i = bucket.plan.first; i < bucket.plan.last; ++i)  // what nothing was added to is zero
    (void)store_.flat_at(kind.group, i).grad_sum(store_.stream());
  if (kind.replicas.size() == 1) return;
  ready_.set(store_.stream());
  ready_.hold(lane_);
  float* grads = store_.flat_grads(kind.group).f32() + bucket.plan.begin;
  kind.replicas.reduce_scatter(grads, grads + kind.replicas.rank() * bucket.plan.part,
                               static_cast<std::size_t>(bucket.plan.part), Dtype::f32, lane_);
  bucket.summed.set(lane_);
}

/// Leaves the summed gradient of this rank's part of each bucket there; returns the sum of their squares.
double ShardedAdamw::reduce() {
  const auto& stream = store_.stream();
  for (Kind& kind : kinds_)
    for (std::size_t i = kind.buckets.size(); i-- > 0;) begin_sum(kind, kind.buckets[i]);
  squares_.fill_zero();
  for (const auto& [kind, bucket] : begun_) {
    bucket->begun = false;
    {
      const device::Span span(stream, "wait for sums of gradients");
      bucket->summed.hold(stream);
    }
    const View grads = store_.flat_grads(kind->group);
    for (const auto& piece : bucket->pieces)
      kernels::sum_of_squares(stream, part(grads, piece.value_offset, piece.numel()), squares_);
  }
  begun_.clear();
  return *tensor::to_host(stream, squares_).view().as<double>();
}

/// Every member's part of the bucket's values, to all of them.
void ShardedAdamw::gather(Kind& kind, Bucket& bucket) {
  if (kind.replicas.size() == 1) return;
  ready_.set(store_.stream());
  ready_.hold(lane_);
  const View values = store_.flat_values(kind.group);
  auto* all =
      static_cast<std::byte*>(values.data) + static_cast<std::size_t>(bucket.plan.begin) * size_of(values.dtype);
  const auto own = static_cast<std::size_t>(bucket.plan.part);
  kind.replicas.all_gather(all + static_cast<std::size_t>(kind.replicas.rank()) * own * size_of(values.dtype), all, own,
                           values.dtype, lane_);
  bucket.gathered.set(lane_);
}

void ShardedAdamw::await_values(const parallel::Parameter& last) {
  for (; awaited_ < order_.size(); ++awaited_) {
    const auto& [kind, bucket] = order_[awaited_];
    if (&first_of(*kind, *bucket) > &last) return;
    if (kind->replicas.size() == 1) continue;
    const device::Span span(store_.stream(), "wait for updated values");
    bucket->gathered.hold(store_.stream());
  }
}
void ShardedAdamw::await_values() {
  if (!store_.all().empty()) await_values(store_.all().back());
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
  for (const auto& [kind, bucket] : order_) {
    const View values = store_.flat_values(kind->group), grads = store_.flat_grads(kind->group);
    for (const auto& piece : bucket->pieces) {
      step.weight_decay = piece.info.decay ? static_cast<float>(options_.weight_decay) : 0.0F;
      const std::int64_t n = piece.numel(), state = piece.state_offset;
      const View value = part(values, piece.value_offset, n), grad = part(grads, piece.value_offset, n),
                 m = part(kind->m, state, n), v = part(kind->v, state, n);
      if (kind->master)
        kernels::adamw(stream, part(kind->master, state, n), grad, m, v, step, value);
      else
        kernels::adamw(stream, value, grad, m, v, step);
    }
    gather(*kind, *bucket);
  }
  awaited_ = 0;
  if (!tied_.empty()) await_values();
  for (const auto* p : tied_)
    groups_.tied->broadcast(p->value.data, static_cast<std::size_t>(p->value.numel()), p->value.dtype, 0, stream);
}

ShardedAdamw::Result ShardedAdamw::step(double lr, bool usable, Values values) {
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
  if (values == Values::awaited) await_values();
  return result;
}

std::vector<tensor::Slice> ShardedAdamw::owned() const {
  std::vector<tensor::Slice> out;
  const auto add = [&](const char* prefix, const Piece& piece, View state) {  // the piece's elements
    for (const auto& box : boxes_of(piece.info, piece.begin, piece.end))
      out.push_back({prefix + piece.info.name, piece.info.global_shape, box.begin,
                     part(state, box.offset - piece.begin, box.numel()).reshape(tensor::Shape(box.extent))});
  };
  for_pieces([&](const Kind& kind, const Piece& piece) {
    add("model/", piece,
        kind.master ? part(kind.master, piece.state_offset, piece.numel())
                    : part(store_.flat_values(kind.group), piece.value_offset, piece.numel()));
  });
  for (const auto& p : store_.all())
    if (!p.info.trainable && !p.info.tied_copy && groups_.of(p.info.replicas).rank() == 0) {
      out.push_back(p.slice());
      out.back().name = "model/" + p.info.name;
    }
  for_pieces([&](const Kind& kind, const Piece& piece) {
    add("optim.m/", piece, part(kind.m, piece.state_offset, piece.numel()));
    add("optim.v/", piece, part(kind.v, piece.state_offset, piece.numel()));
  });
  return out;
}

void ShardedAdamw::take_master(const parallel::Parameter& p, View host) {
  const View flat = host.reshape({host.numel()});
  for_pieces([&](const Kind& kind, const Piece& piece) {
    if (kind.master && piece.info.name == p.info.name)
      tensor::put(store_.stream(), part(flat, piece.begin, piece.numel()),
                  part(kind.master, piece.state_offset, piece.numel()));
  });
}

void ShardedAdamw::fill(const std::function<void(const parallel::Parameter&)>& make) {
  await_values();
  for (const auto& p : store_.all())
    if (const Tensor host = store_.fill(p, make)) take_master(p, host);
}

void ShardedAdamw::load(const std::function<void(const tensor::Slice&)>& read) {
  fill([&](const parallel::Parameter& p) {
    tensor::Slice slice = p.slice();
    slice.name = "model/" + slice.name;
    read(slice);
  });
  for_pieces([&](const Kind& kind, const Piece& piece) {
    for (const auto& box : boxes_of(piece.info, piece.begin, piece.end)) {
      const std::int64_t at = piece.state_offset + box.offset - piece.begin;
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
  });
}

void ShardedAdamw::masters_from_values() {
  await_values();
  for_pieces([&](const Kind& kind, const Piece& piece) {
    if (kind.master)
      kernels::copy(store_.stream(), part(store_.flat_values(kind.group), piece.value_offset, piece.numel()),
                    part(kind.master, piece.state_offset, piece.numel()));
  });
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
