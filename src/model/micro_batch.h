#pragma once
// What every stage needs of a micro-batch: all stages build it from the same rows, so nothing but activations is sent.
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace eddy::model {

/// One packed row as the data side gives it.
struct Row {
  std::span<const std::int32_t> ids;          ///< [seq_len]; what lies behind the last document is padding
  std::span<const std::int32_t> doc_lengths;  ///< tokens of each document, in order; the sum may be less than seq_len
  std::span<const std::uint8_t> loss;         ///< [seq_len]: 1 where this token counts as a target
};

/// T = rows · seq_len tokens, padded to a multiple of `multiple_of` (tensor parallelism cuts them along T).
struct MicroBatch {
  std::int64_t tokens = 0;    ///< T
  tensor::Tensor ids;         ///< int32 [T]; padding is 0
  tensor::Tensor positions;   ///< int32 [T], restarting with each document
  tensor::Tensor labels;      ///< int32 [T]: the next token of the same document where it counts, else -1
  tensor::Tensor valid;       ///< uint8 [T]: 0 for padding, which no expert sees
  tensor::Tensor mtp_ids;     ///< int32 [T]: the next token of the same document, else -1
  tensor::Tensor mtp_labels;  ///< int32 [T]: the token after that of the same document where it counts, else -1
  tensor::Tensor mtp_valid;   ///< uint8 [T]: mtp_ids >= 0
  std::vector<std::int32_t> cu_seqlens;  ///< [documents + 1], last T; each row's padding is a document of its own
  tensor::Tensor cu_seqlens_on_device;   ///< the same in a GPU's memory; empty on the CPU
  std::vector<std::int64_t> row_begin;   ///< [rows + 1] first token of each row (the balance loss is by row)
  std::int64_t label_count = 0, mtp_label_count = 0;
};

/// Throws Error (status 2) for an id outside [0, vocab_size) or a row longer than max_positions allows.
MicroBatch make_micro_batch(std::span<const Row> rows, int vocab_size, int max_positions, int multiple_of);

/// A copy whose tensors lie where the stream runs, in the stream's order; the host does not wait.
MicroBatch to_device(const device::Stream& stream, const MicroBatch& batch);

}  // namespace eddy::model
