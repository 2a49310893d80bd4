#pragma once
#include "kernels/visits/visits.h"

namespace eddy::kernels::cuda {

void visited_ranks(const Stream& stream, View chosen, std::int64_t local, std::int64_t ranks, View visits);
void visit_classes(const Stream& stream, View chosen, std::int64_t local, std::int64_t most, View visits, View classes);
void deal_waves(const Stream& stream, View offsets, std::int64_t waves, View slots, View tokens);
void pack_choices(const Stream& stream, View chosen, View weights, View tokens, View packed);
void unpack_choices(const Stream& stream, View packed, std::int64_t first, std::int64_t local, View chosen,
                    View weights);

}  // namespace eddy::kernels::cuda
