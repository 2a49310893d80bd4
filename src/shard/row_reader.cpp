#include "shard/row_reader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "shard/format.h"

namespace eddy::shard {
namespace {

/// The pieces of a row, where they lie.
class Pieces {
 public:
  Pieces(const Corpus& corpus, std::span<const Piece> pieces, std::int64_t seq_len)
      : corpus_(corpus), pieces_(pieces), seq_len_(seq_len) {}
  std::size_t size() const { return pieces_.size(); }

  struct Located {
    const Shard& shard;
    std::uint64_t document;  ///< in the shard
    const std::uint32_t* tokens;
    std::size_t count, targets;
  };
  Located operator[](std::size_t k) const {
    const Corpus::Place place = corpus_.place(pieces_[k].document);
    const Shard& shard = corpus_.shards()[place.shard];
    const DocumentView d = shard.document(place.local);
    const PieceRange range = piece_range(pieces_[k], d.tokens.size(), d.prompt, seq_len_);
    return {shard, place.local, d.tokens.data() + range.begin, range.end - range.begin, range.targets};
  }

  // Documents of a row lie anywhere: without these, short ones would wait for memory one after the other (measured: a
  // third fewer rows a second at 360 tokens a document).
  void fetch_place(std::size_t k) const {
    if (k >= size()) return;
    const Corpus::Place place = corpus_.place(pieces_[k].document);
    corpus_.shards()[place.shard].prefetch(place.local);
  }
  void fetch_tokens(std::size_t k) const {
    if (k >= size()) return;
    const Located piece = (*this)[k];
    constexpr std::size_t kLine = 64 / sizeof(std::uint32_t),
                          kMost = 1024 / sizeof(std::uint32_t);  // the CPU sees to the rest
    for (std::size_t t = 0; t < std::min(piece.count, kMost); t += kLine) __builtin_prefetch(piece.tokens + t);
  }

 private:
  const Corpus& corpus_;
  std::span<const Piece> pieces_;
  std::int64_t seq_len_;
};

}  // namespace

void read_row(const Corpus& corpus, const Packing& packing, std::uint64_t r, std::int64_t seq_len, PackedRow& out) {
  out.ids.resize(static_cast<std::size_t>(seq_len));
  out.loss.resize(static_cast<std::size_t>(seq_len));
  out.doc_lengths.clear();
  const Pieces pieces(corpus, packing.row(r), seq_len);
  constexpr std::size_t kAhead = 4, kWellAhead = 16;
  for (std::size_t k = 0; k < kWellAhead; ++k) pieces.fetch_place(k);
  for (std::size_t k = 0; k < kAhead; ++k) pieces.fetch_tokens(k);
  std::size_t used = 0;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    pieces.fetch_place(k + kWellAhead);
    pieces.fetch_tokens(k + kAhead);
    const Pieces::Located piece = pieces[k];
    std::int32_t* to = out.ids.data() + used;
    std::uint32_t largest = 0;  // an id beyond the vocabulary would index outside of the embedding
    for (std::size_t i = 0; i < piece.count; ++i) {
      to[i] = static_cast<std::int32_t>(piece.tokens[i]);
      largest = std::max(largest, piece.tokens[i]);
    }
    if (largest > piece.shard.max_token())
      fail_input(
          "{}: dataset '{}', document {}: token id {}, though the header says that {} is the largest: the shard is "
          "damaged",
          piece.shard.path().string(), kTokens, piece.document, largest, piece.shard.max_token());
    std::memset(out.loss.data() + used, 0, piece.count - piece.targets);
    std::memset(out.loss.data() + used + (piece.count - piece.targets), 1, piece.targets);
    out.doc_lengths.push_back(static_cast<std::int32_t>(piece.count));
    used += piece.count;
  }
  std::fill(out.ids.begin() + static_cast<std::ptrdiff_t>(used), out.ids.end(), 0);
  std::fill(out.loss.begin() + static_cast<std::ptrdiff_t>(used), out.loss.end(), std::uint8_t{0});
}

}  // namespace eddy::shard
