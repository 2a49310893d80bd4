#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// The order in which experts take (token, choice) pairs: sorted by expert, tokens in order within an expert (a
/// stable counting sort; no atomics, deterministic; on a GPU among up to 1024 experts). chosen int32 [t, k], -1: none;
/// E = counts.rows(). slots int32 [t, k]: each pair's place, -1 for none. pairs int32 [t·k]: at each place, t·k + j of
/// its pair; -1 from the number of pairs on. tokens int32 [t·k]: pairs / k, -1 likewise. counts int64 [E]: pairs of
/// each expert. offsets int64 [E + 1]: where each expert's pairs begin. total int64 [E] (may be empty) += counts.
void sort_by_expert(const Stream& stream, View chosen, View slots, View pairs, View tokens, View counts, View offsets,
                    View total);

}  // namespace eddy::kernels
