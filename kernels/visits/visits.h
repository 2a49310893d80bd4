#pragma once
// A token visits each rank that holds at least one of its experts, once: what travels in the experts' exchange is a row
// a visit, with the choices that the rank needs to deal the row out to its experts. All of it is integers and copies:
// deterministic, no atomics.
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// chosen int32 [t, k]: experts in [0, ranks · local), -1: none; expert e is on rank e / local. visits int32 [t, m]:
/// the distinct ranks of each token's experts, ascending, then -1. m ≥ min(k, ranks).
void visited_ranks(const Stream& stream, View chosen, std::int64_t local, std::int64_t ranks, View visits);

/// visits as above. classes int32 [t, m]: rank · most + (how many of the token's experts are on it) - 1 of each visit,
/// -1 where there is none: visits of one rank with equally many rows are of one class. most: no visit has more.
void visit_classes(const Stream& stream, View chosen, std::int64_t local, std::int64_t most, View visits, View classes);

/// Cuts the visits of each class into `waves` pieces as equal as they can be, in order, and moves them: those of the
/// first wave come first, in a wave by class. With v visits of a class, wave w has [v·w / waves, v·(w + 1) / waves).
/// offsets int64 [classes + 1]: where each class's visits begin. slots int32 [t, m], in place: each visit's
/// place, -1 for none. tokens int32 [t·m]: written at each place, its token.
void deal_waves(const Stream& stream, View offsets, std::int64_t waves, View slots, View tokens);

/// packed int32 [V, 2k]: row v = the choices (int32) and weights (float32, as bits) of token tokens[v], which must be
/// in [0, t). chosen int32 [t, k], weights float32 [t, k], tokens int32 [V].
void pack_choices(const Stream& stream, View chosen, View weights, View tokens, View packed);
/// The reverse, where the rows arrived: chosen int32 [A, k] = the choices counted from expert `first`, -1 for those
/// outside [first, first + local); weights float32 [A, k].
void unpack_choices(const Stream& stream, View packed, std::int64_t first, std::int64_t local, View chosen,
                    View weights);

}  // namespace eddy::kernels
