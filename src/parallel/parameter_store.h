#pragma once
// The memory of a rank's parameters and gradients, where its stream runs: one flat buffer a replica group, so that
// gradients are reduced and parameters gathered in one call each.
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "parallel/parameter.h"
#include "tensor/tensor.h"

namespace eddy::parallel {

class ParameterStore {
 public:
  /// Values are zero, gradients zero. `with_gradients` false (evaluation, generation) leaves gradients empty. All
  /// trainable parameters have one type.
  ParameterStore(std::vector<ParameterInfo> infos, bool with_gradients, const device::Stream& stream = {});

  std::span<const Parameter> all() const { return parameters_; }
  const Parameter* find(const std::string& name) const;  ///< null when this rank does not hold it
  const Parameter& at(const std::string& name) const;    ///< throws when this rank does not hold it

  /// The trainable parameters of one replica group kind (dp, stage or edp), concatenated in the order of infos_of().
  /// [n] of dtype()
  tensor::View flat_values(Group kind) const;
  /// [n] float32
  tensor::View flat_grads(Group kind) const;
  std::vector<ParameterInfo> infos_of(Group kind) const;  ///< the trainable ones of this kind, in flat order
  /// Every gradient counts as zero from here on (Parameter::grad_fresh).
  void begin_gradients();
  /// Zeroes what nothing was added to since then: the flat buffers hold the sums.
  void finish_gradients();

  /// Has `make` fill a parameter's value as float32 in host memory (Parameter::value of what it gets), and puts it in
  /// place, rounded to the parameter's type. Returns what was made, for a float32 master; empty where value itself is
  /// float32 on the host.
  tensor::Tensor fill(const Parameter& parameter, const std::function<void(const Parameter&)>& make) const;

  const device::Stream& stream() const { return stream_; }
  Dtype dtype() const { return dtype_; }  ///< of the trainable parameters

  std::size_t value_bytes() const;
  std::size_t grad_bytes() const;
  static constexpr Group kKinds[3] = {Group::dp, Group::stage, Group::edp};

 private:
  struct Flat {
    tensor::Tensor values, grads;
    std::vector<std::size_t> members;  // indices into parameters_
  };
  device::Stream stream_;
  Dtype dtype_ = Dtype::f32;
  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t> by_name_;
  Flat flats_[3];
  std::vector<tensor::Tensor> frozen_;  // values of what is not trainable
};

}  // namespace eddy::parallel
