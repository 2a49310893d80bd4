#pragma once
// The memory of a rank's parameters and gradients: one flat buffer a replica group, so that gradients are reduced and
// parameters gathered in one call each.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "parallel/parameter.h"
#include "tensor/tensor.h"

namespace eddy::parallel {

class ParameterStore {
 public:
  /// Values are zero, gradients zero. `with_gradients` false (evaluation, generation) leaves gradients empty.
  ParameterStore(std::vector<ParameterInfo> infos, bool with_gradients);

  std::span<const Parameter> all() const { return parameters_; }
  const Parameter* find(const std::string& name) const;  ///< null when this rank does not hold it
  const Parameter& at(const std::string& name) const;    ///< throws when this rank does not hold it

  /// The trainable parameters of one replica group kind (dp, stage or edp), concatenated in the order of infos_of().
  /// [n] float32
  tensor::View flat_values(Group kind) const;
  tensor::View flat_grads(Group kind) const;
  std::vector<ParameterInfo> infos_of(Group kind) const;  ///< the trainable ones of this kind, in flat order
  void zero_grads();

  std::size_t value_bytes() const;
  std::size_t grad_bytes() const;
  static constexpr Group kKinds[3] = {Group::dp, Group::stage, Group::edp};

 private:
  struct Flat {
    tensor::Tensor values, grads;
    std::vector<std::size_t> members;  // indices into parameters_
  };
  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t> by_name_;
  Flat flats_[3];
  std::vector<tensor::Tensor> frozen_;  // values of what is not trainable
};

}  // namespace eddy::parallel
