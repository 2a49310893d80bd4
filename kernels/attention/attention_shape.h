#pragma once
// What attention's GPU sources share on the host.
#include "base/dtype.h"
#include "device/span.h"
#include "kernels/attention/attention.h"

namespace eddy::kernels::cuda {

struct AttentionShape {
  std::int64_t tokens = 0;
  int heads = 0, d_qk = 0, d_v = 0;
  Dtype dtype = Dtype::f32;
};

/// The shape of these views and documents. Throws Error (status 1) where they do not fit together as attention.h says.
AttentionShape attention_shape(const View& q, const View& k, const View& v, const View& o, const View& lse, int heads,
                               const Documents& documents, const char* op);
/// Throws Error (status 1) unless the gradients have the shapes and the type of what they belong to.
void check_gradients(const AttentionShape& shape, const View& d_o, const View& dq, const View& dk, const View& dv,
                     const char* op);

/// `products` of each causal query-key pair's d_qk + d_v multiply-adds (2 forward; the backward pass does 5 for 2), and
/// every element read or written once, `passes` times the forward pass's.
device::Cost attention_cost(const AttentionShape& shape, const Documents& documents, double products, double passes);

}  // namespace eddy::kernels::cuda
