#pragma once
// Where documents lie, as cuDNN asks for it.
#include "device/stream.h"

namespace eddy::kernels::cuda {

/// Arrays in device memory; offsets count elements.
struct DocumentOffsets {
  std::int64_t *qk, *v, *stats;  ///< [padded + 1]: where each document begins in q and k, in v and o, in lse
  std::int32_t* lengths;         ///< [padded]: tokens; 0 from `documents` on
};
/// Fills the arrays for documents [cu[0], cu[1]), … (cu in device memory, [documents + 1]), relative to cu[0]. A token
/// takes so many elements of each matrix.
void document_offsets(const device::Stream& stream, const std::int32_t* cu, int documents, int padded,
                      std::int64_t qk_elements, std::int64_t v_elements, std::int64_t stats_elements,
                      const DocumentOffsets& to);

}  // namespace eddy::kernels::cuda
