#include "parallel/parameter.h"

#include <functional>
#include <numeric>

namespace eddy::parallel {
namespace {
std::int64_t product(const std::vector<std::int64_t>& extents) {
  return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}
}  // namespace

std::int64_t ParameterInfo::numel() const {
  return product(extent);
}
std::int64_t ParameterInfo::global_numel() const {
  return product(global_shape);
}

tensor::View Parameter::grad_sum(const device::Stream& stream) const {
  if (grad && grad_beta() == 0) device::zero(stream, grad.data, grad.bytes());
  return grad;
}

}  // namespace eddy::parallel
