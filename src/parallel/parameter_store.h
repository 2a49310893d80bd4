#pragma once
// The memory of a rank's parameters and gradients, where its stream runs: one flat buffer a replica group, cut into
// buckets whose gradients are summed, and whose values are gathered, in one call each.
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "parallel/zero.h"
#include "tensor/tensor.h"

namespace eddy::parallel {

/// Among how many ranks a store's flat buffers are cut, and in buckets of how many elements (zero_plan).
struct Replicas {
  int dp = 1, stage = 1, edp = 1;
  std::int64_t bucket_elements = kBucketElements;
  Replicas() = default;
  explicit Replicas(const Layout& layout, std::int64_t bucket = kBucketElements)
      : dp(layout.dp()), stage(layout.stage_size()), edp(layout.edp()), bucket_elements(bucket) {}
  int of(Group kind) const { return kind == Group::dp ? dp : kind == Group::stage ? stage : edp; }
};

class ParameterStore {
 public:
  /// Values are zero, gradients zero. `with_gradients` false (evaluation, generation) leaves gradients empty. All
  /// trainable parameters have one type. An optimizer over several ranks needs their number in `replicas`.
  ParameterStore(std::vector<ParameterInfo> infos, bool with_gradients, const device::Stream& stream = {},
                 const Replicas& replicas = Replicas());

  std::span<const Parameter> all() const { return parameters_; }
  const Parameter* find(const std::string& name) const;  ///< null when this rank does not hold it
  const Parameter& at(const std::string& name) const;    ///< throws when this rank does not hold it

  /// The trainable parameters of one replica group kind (dp, stage or edp), as plan_of(kind) lays them out; zeros fill
  /// the gaps. [plan.size] of dtype()
  tensor::View flat_values(Group kind) const;
  /// [plan.size] float32
  tensor::View flat_grads(Group kind) const;
  const std::vector<ParameterInfo>& infos_of(Group kind) const;  ///< the trainable ones of this kind, in flat order
  const ZeroPlan& plan_of(Group kind) const;                     ///< of infos_of(kind)
  /// The parameter that is number `index` of infos_of(kind).
  const Parameter& flat_at(Group kind, int index) const;
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

  // With what fills the gaps.
  std::size_t value_bytes() const;
  std::size_t grad_bytes() const;
  static constexpr Group kKinds[3] = {Group::dp, Group::stage, Group::edp};

 private:
  struct Flat {
    tensor::Tensor values, grads;
    std::vector<ParameterInfo> infos;
    std::vector<std::size_t> members;  // indices into parameters_
    ZeroPlan plan;
  };
  device::Stream stream_;
  Dtype dtype_ = Dtype::f32;
  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t> by_name_;
  Flat flats_[3];
  std::vector<tensor::Tensor> frozen_;  // values of what is not trainable
};

}  // namespace eddy::parallel
