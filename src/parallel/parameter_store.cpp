#include "parallel/parameter_store.h"

#include <algorithm>

#include "base/error.h"

namespace eddy::parallel {
namespace {
std::size_t index_of(Group kind) {
  for (std::size_t i = 0; i < 3; ++i)
    if (ParameterStore::kKinds[i] == kind) return i;
  fail_run("group {} holds no replicas of parameters", name_of(kind));
}
}  // namespace

ParameterStore::ParameterStore(std::vector<ParameterInfo> infos, bool with_gradients, const device::Stream& stream,
                               const Replicas& replicas)
    : stream_(stream) {
  const auto trainable = std::find_if(infos.begin(), infos.end(), [](const auto& info) { return info.trainable; });
  if (trainable != infos.end()) dtype_ = trainable->dtype;
  for (auto& info : infos) {
    if (info.trainable && info.dtype != dtype_)
      fail_run("parameter {} is {}, others are {}", info.name, name_of(info.dtype), name_of(dtype_));
    if (!by_name_.emplace(info.name, parameters_.size()).second) fail_run("parameter {} is listed twice", info.name);
    if (info.trainable) {
      Flat& flat = flats_[index_of(info.replicas)];
      flat.members.push_back(parameters_.size());
      flat.infos.push_back(info);
    }
    parameters_.push_back({std::move(info), {}, {}});
  }
  for (const Group kind : kKinds) {
    Flat& flat = flats_[index_of(kind)];
    flat.plan = zero_plan(flat.infos, replicas.of(kind), replicas.bucket_elements);
    flat.values = tensor::Tensor::zeros({flat.plan.size}, dtype_, stream);
    if (with_gradients) flat.grads = tensor::Tensor::zeros({flat.plan.size}, Dtype::f32, stream);
    for (std::size_t i = 0; i < flat.members.size(); ++i) {
      Parameter& p = parameters_[flat.members[i]];
      const std::int64_t at = flat.plan.offsets[i], end = at + p.info.numel();
      const tensor::Shape shape(p.info.extent);
      p.value = flat.values.view().row_range(at, end).reshape(shape);
      if (with_gradients) p.grad = flat.grads.view().row_range(at, end).reshape(shape);
    }
  }
  for (auto& p : parameters_)
    if (!p.info.trainable) {
      frozen_.push_back(tensor::Tensor::zeros(tensor::Shape(p.info.extent), p.info.dtype, stream));
      p.value = frozen_.back();
    }
}

const Parameter* ParameterStore::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &parameters_[it->second];
}
const Parameter& ParameterStore::at(const std::string& name) const {
  const Parameter* p = find(name);
  if (!p) fail_run("this rank does not hold the parameter {}", name);
  return *p;
}
tensor::View ParameterStore::flat_values(Group kind) const {
  return flats_[index_of(kind)].values;
}
tensor::View ParameterStore::flat_grads(Group kind) const {
  return flats_[index_of(kind)].grads;
}
const std::vector<ParameterInfo>& ParameterStore::infos_of(Group kind) const {
  return flats_[index_of(kind)].infos;
}
const ZeroPlan& ParameterStore::plan_of(Group kind) const {
  return flats_[index_of(kind)].plan;
}
const Parameter& ParameterStore::flat_at(Group kind, int index) const {
  return parameters_[flats_[index_of(kind)].members.at(static_cast<std::size_t>(index))];
}
void ParameterStore::begin_gradients() {
  for (const auto& p : parameters_) p.grad_fresh = static_cast<bool>(p.grad);
}
void ParameterStore::finish_gradients() {
  for (const auto& p : parameters_) p.grad_sum(stream_);
}
tensor::Tensor ParameterStore::fill(const Parameter& p, const std::function<void(const Parameter&)>& make) const {
  if (!stream_.on_gpu() && p.value.dtype == Dtype::f32) {
    make(p);
    return {};
  }
  tensor::Tensor host(p.value.shape);
  Parameter there{p.info, host.view(), {}};
  there.info.dtype = Dtype::f32;
  make(there);
  tensor::put(stream_, host, p.value);
  return host;
}
std::size_t ParameterStore::value_bytes() const {
  std::size_t n = 0;
  for (const auto& flat : flats_) n += flat.values.bytes();
  for (const auto& t : frozen_) n += t.bytes();
  return n;
}
std::size_t ParameterStore::grad_bytes() const {
  std::size_t n = 0;
  for (const auto& flat : flats_) n += flat.grads.bytes();
  return n;
}

}  // namespace eddy::parallel
