#pragma once
// From the mapped shards to one packed row.
#include <cstdint>

#include "shard/corpus.h"
#include "shard/packing.h"
#include "shard/sampler.h"

namespace eddy::shard {

/// Copies row r of a packing into `out`, whose memory is reused. Throws Error (status 2) naming file and dataset when a
/// token id is larger than the shard's header allows (a damaged shard whose checksum was not compared).
void read_row(const Corpus& corpus, const Packing& packing, std::uint64_t r, std::int64_t seq_len, PackedRow& out);

}  // namespace eddy::shard
