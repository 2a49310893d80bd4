#pragma once
// Best-fit packing of documents into rows of a fixed length (Ding et al., "Fewer Truncations Improve Language
// Modeling", ICML 2024): pieces, longest first, each into the fullest row that still holds it.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace eddy::shard {

/// Part `part` of document `document`: tokens [part·(L-1), part·(L-1) + L) as far as the document goes, where L is the
/// row's length. Parts overlap by one token: the last of one is the first, untrained, of the next.
struct Piece {
  std::uint32_t document;
  std::uint32_t part;
};

struct PieceRange {
  std::uint64_t begin = 0, end = 0;  ///< tokens of the document
  std::uint64_t targets = 0;         ///< of them, those that count in the loss
};
PieceRange piece_range(const Piece& piece, std::uint64_t document_tokens, std::uint64_t prompt, std::int64_t seq_len);

/// What packing must know of the documents.
struct DocumentSizes {
  std::uint64_t documents = 0;
  std::function<std::uint64_t(std::uint64_t)> tokens;  ///< length of document i
  std::function<std::uint64_t(std::uint64_t)> prompt;  ///< its leading tokens that are no targets
  std::function<std::uint64_t(std::uint64_t)> order;   ///< i-th document to be placed: a permutation
};

struct Packing {
  std::vector<Piece> pieces;             ///< row by row
  std::vector<std::uint64_t> row_begin;  ///< [rows + 1] into pieces
  std::uint64_t tokens = 0;              ///< in all rows, padding left out
  std::uint64_t targets = 0;
  std::uint64_t dropped = 0;  ///< pieces without a target, left out
  std::uint64_t rows() const { return row_begin.size() - 1; }
  std::span<const Piece> row(std::uint64_t r) const {
    return std::span(pieces).subspan(row_begin[r], row_begin[r + 1] - row_begin[r]);
  }
};

/// Deterministic. Rows are in the order of their first-placed document, so a prefix of the rows is a fair sample.
/// Linear in the number of pieces. Throws Error (status 2) for 2^32 documents or more.
Packing pack(const DocumentSizes& sizes, std::int64_t seq_len);

}  // namespace eddy::shard
