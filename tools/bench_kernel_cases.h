#pragma once
// What eddy-bench kernels runs: each kernel with the shapes that the benchmark slice (eddy-bench slice) gives it.
#include <functional>
#include <string>
#include <vector>

#include "device/stream.h"
#include "tensor/tensor.h"

namespace eddy {

/// Of the slice: one sequence, DeepSeek-V3's layers.
struct SliceSizes {
  std::int64_t tokens = 4096, hidden = 7168, q_lora = 1536, kv_lora = 512, dense = 18432, expert = 2048, experts = 16,
               vocab = 16160, cube = 8192;    ///< cube: of the product that is the ceiling of products
  std::int64_t flat = std::int64_t{1} << 26;  ///< elements of a flat bucket
  std::int64_t copy = std::int64_t{1} << 28;  ///< elements of the copy that is the ceiling of bandwidth
  int heads = 128, nope = 128, rope = 64, value = 128, top_k = 8;
};
SliceSizes small_sizes();  ///< the same on a CPU, in a fraction of a second a kernel

/// Owns what one set of a kernel's operands holds, where the stream runs.
class OperandSet {
 public:
  OperandSet(const device::Stream& stream, tensor::View table) : stream_(&stream), table_(table) {}
  const device::Stream& stream() const { return *stream_; }
  Dtype type() const { return table_.dtype; }  ///< of activations
  std::size_t bytes() const { return bytes_; }

  tensor::View empty(const tensor::Shape& shape, Dtype dtype);
  tensor::View empty(const tensor::Shape& shape) { return empty(shape, type()); }
  tensor::View zeros(const tensor::Shape& shape, Dtype dtype);
  /// Normal numbers, from the table.
  tensor::View random(const tensor::Shape& shape, Dtype dtype);
  tensor::View random(const tensor::Shape& shape) { return random(shape, type()); }
  tensor::View ints(const std::vector<std::int32_t>& values, const tensor::Shape& shape);

 private:
  const device::Stream* stream_;
  tensor::View table_;
  std::vector<tensor::Tensor> held_;
  std::size_t bytes_ = 0;
  std::int64_t at_ = 0;
};

/// Where the (token, expert) pairs of a random routing go; the views are sort_by_expert's.
struct Routing {
  tensor::View chosen, slots, pairs, tokens, counts, offsets;
  Routing(OperandSet& set, const SliceSizes& sizes);
  void sort(const device::Stream& stream) const;
};

struct KernelCase {
  std::string operation, size;
  int times = 0;        ///< in one step of the slice; 0: not part of it
  std::string ceiling;  ///< the operation and size (name()) of a case whose time is the ceiling; empty: the device's
  /// Makes operands and returns a call of the kernel on them.
  std::function<std::function<void()>(OperandSet&)> make;
  std::string name() const { return operation + " " + size; }
};
/// The first two are the ceilings: a copy, and a product of cubes. A case's ceiling stands before it.
std::vector<KernelCase> kernel_cases(const SliceSizes& sizes, bool on_gpu);

/// Of a linear layer [m, k] · [n, k]^T.
enum class Way { forward, input_gradient, weight_gradient };
KernelCase dense_product(const std::string& what, std::int64_t m, std::int64_t n, std::int64_t k, Way way);
/// Dense products of the slice, and the experts', each beside one dense product of the same FLOPs.
std::vector<KernelCase> product_cases(const SliceSizes& sizes);

}  // namespace eddy
