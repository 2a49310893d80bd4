#include "kernels/attention/attention_documents.h"

#include "kernels/common/cuda.cuh"

namespace eddy::kernels::cuda {
namespace {

__global__ void offsets_of(const std::int32_t* cu, int documents, int padded, std::int64_t qk_elements,
                           std::int64_t v_elements, std::int64_t stats_elements, DocumentOffsets to) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i > padded) return;
  const std::int64_t token = cu[min(i, documents)] - cu[0];
  to.qk[i] = token * qk_elements;
  to.v[i] = token * v_elements;
  to.stats[i] = token * stats_elements;
  if (i < padded) to.lengths[i] = i < documents ? cu[i + 1] - cu[i] : 0;
}

}  // namespace

void document_offsets(const Stream& stream, const std::int32_t* cu, int documents, int padded, std::int64_t qk_elements,
                      std::int64_t v_elements, std::int64_t stats_elements, const DocumentOffsets& to) {
  const auto blocks = static_cast<unsigned>(ceil_div(padded + 1, 128));
  offsets_of<<<blocks, 128, 0, device::native(stream)>>>(cu, documents, padded, qk_elements, v_elements, stats_elements,
                                                         to);
  check_launch();
}

}  // namespace eddy::kernels::cuda
