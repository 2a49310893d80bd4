// Packing: every target once, rows that hold, few left empty.
#include "shard/packing.h"

#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "catch.h"

using namespace eddy::shard;

namespace {
struct Documents {
  std::vector<std::uint64_t> tokens, prompt;
  Packing packed(std::int64_t seq_len) const {
    return pack({.documents = tokens.size(),
                 .tokens = [this](std::uint64_t i) { return tokens[i]; },
                 .prompt = [this](std::uint64_t i) { return prompt.empty() ? 0 : prompt[i]; },
                 .order = [](std::uint64_t i) { return i; }},
                seq_len);
  }
};
}  // namespace

TEST_CASE("documents that fill rows together do so") {
  const Documents d{{3, 5, 2, 6}, {}};
  const Packing p = d.packed(8);
  REQUIRE(p.rows() == 2);
  CHECK(p.tokens == 16);
  CHECK(p.targets == 12);  // no document's first token
  // rows by their earliest document, documents in a row in their order
  CHECK(p.row(0)[0].document == 0);
  CHECK(p.row(0)[1].document == 1);
  CHECK(p.row(1)[0].document == 2);
  CHECK(p.row(1)[1].document == 3);
}

TEST_CASE("the fullest row that still holds a piece takes it") {
  // 7 and 6 open rows with room for 3 and 4; a 3 must go with the 7, and the 4 with the 6
  const Documents d{{7, 6, 4, 3}, {}};
  const Packing p = d.packed(10);
  REQUIRE(p.rows() == 2);
  CHECK(p.row(0)[1].document == 3);
  CHECK(p.row(1)[1].document == 2);
}

TEST_CASE("long documents are cut so that every token but the first is a target once") {
  for (std::uint64_t tokens : {2u, 7u, 8u, 9u, 15u, 16u, 22u, 23u, 100u}) {
    const Documents d{{tokens}, {}};
    const Packing p = d.packed(8);
    CHECK(p.targets == tokens - 1);
    std::vector<int> seen(tokens, 0);
    for (const Piece& piece : p.pieces) {
      const PieceRange r = piece_range(piece, tokens, 0, 8);
      CHECK(r.end - r.begin >= 2);
      CHECK(r.end - r.begin <= 8);
      for (std::uint64_t t = r.end - r.targets; t < r.end; ++t) ++seen[t];
    }
    CHECK(seen[0] == 0);
    for (std::uint64_t t = 1; t < tokens; ++t) CHECK(seen[t] == 1);
  }
}

TEST_CASE("prompts are no targets, and pieces without any target are left out") {
  const PieceRange whole = piece_range({0, 0}, 6, 4, 8);
  CHECK(whole.targets == 2);
  CHECK(piece_range({0, 0}, 6, 0, 8).targets == 5);
  CHECK(piece_range({0, 0}, 6, 6, 8).targets == 0);
  const Documents d{{20, 1, 5, 0}, {17, 0, 5, 0}};
  const Packing p = d.packed(8);
  CHECK(p.targets == 3);
  CHECK(p.dropped == 3);  // two parts of the long prompt, and the document that is all prompt
  CHECK(p.pieces.size() == 1);
  CHECK(p.pieces[0].part == 2);
}

TEST_CASE("random documents: rows hold, nothing is lost, little is empty") {
  Documents d;
  std::uint64_t targets = 0;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const auto w = eddy::philox(9, i);
    d.tokens.push_back(2 + w[0] % (i % 10 == 0 ? 3000 : 300));
    d.prompt.push_back(w[1] % 4 == 0 ? w[2] % d.tokens.back() : 0);
    targets += d.tokens.back() - std::max<std::uint64_t>(d.prompt.back(), 1);
  }
  constexpr std::int64_t kRow = 512;
  const Packing p = d.packed(kRow);
  CHECK(p.targets == targets);
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> seen;
  std::uint64_t tokens = 0;
  for (std::uint64_t r = 0; r < p.rows(); ++r) {
    std::uint64_t used = 0;
    for (const Piece& piece : p.row(r)) {
      ++seen[{piece.document, piece.part}];
      const PieceRange range = piece_range(piece, d.tokens[piece.document], d.prompt[piece.document], kRow);
      used += range.end - range.begin;
    }
    REQUIRE(used >= 2);
    REQUIRE(used <= static_cast<std::uint64_t>(kRow));
    tokens += used;
  }
  CHECK(tokens == p.tokens);
  CHECK(seen.size() == p.pieces.size());
  const double full = static_cast<double>(p.tokens) / static_cast<double>(p.rows() * kRow);
  CHECK(full > 0.995);
}

TEST_CASE("edges") {
  CHECK(Documents{}.packed(4).rows() == 0);
  CHECK(Documents{{1, 1}, {}}.packed(4).rows() == 0);
  CHECK_THROWS_AS((Documents{{5}, {}}.packed(1)), eddy::Error);
  CHECK((Documents{{2, 2, 2}, {}}.packed(2).rows()) == 3);
}
