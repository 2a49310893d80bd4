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

ParameterStore::ParameterStore(std::vector<ParameterInfo> infos, bool with_gradients, const device::Stream& stream)
    : stream_(stream) {
  const auto trainable = std::find_if(infos.begin(), infos.end(), [](const auto& info) { return info.trainable; });
  if (trainable != infos.end()) dtype_ = trainable->dtype;
  for (auto& info : infos) {
    if (info.trainable && info.dtype != dtype_)
      fail_run("parameter {} is {}, others are {}", info.name, name_of(info.dtype), name_of(dtype_));
    if (!by_name_.emplace(info.name, parameters_.size()).second) fail_run("parameter {} is listed twice", info.name);
    if (info.trainable) flats_[index_of(info.replicas)].members.push_back(parameters_.size());
    parameters_.push_back({std::move(info), {}, {}});
  }
  for (auto& flat : flats_) {
    std::int64_t total = 0;
    for (const auto i : flat.members) total += parameters_[i].info.numel();
    flat.values = tensor::Tensor::zeros({total}, dtype_, stream);
    if (with_gradients) flat.grads = tensor::Tensor::zeros({total}, Dtype::f32, stream);
    std::int64_t at = 0;
    for (const auto i : flat.members) {
      Parameter& p = parameters_[i];
      const tensor::Shape shape(p.info.extent);
      p.value = flat.values.view().row_range(at, at + p.info.numel()).reshape(shape);
      if (with_gradients) p.grad = flat.grads.view().row_range(at, at + p.info.numel()).reshape(shape);
      at += p.info.numel();
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
std::vector<ParameterInfo> ParameterStore::infos_of(Group kind) const {
  std::vector<ParameterInfo> out;
  for (const auto i : flats_[index_of(kind)].members) out.push_back(parameters_[i].info);
  return out;
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
  for (const auto& p : parameters_) n += p.value.bytes();
  return n;
}
std::size_t ParameterStore::grad_bytes() const {
  std::size_t n = 0;
  for (const auto& p : parameters_)
    if (p.grad) n += p.grad.bytes();
  return n;
}

}  // namespace eddy::parallel
