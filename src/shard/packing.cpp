#include "shard/packing.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace eddy::shard {
namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFF;

/// Open rows by the room left in them; the fullest that still holds a length is found over a bit per room size.
class OpenRows {
 public:
  explicit OpenRows(std::uint64_t seq_len) : head_(seq_len + 1, kNone), bits_(seq_len / 64 + 1, 0) {}
  void put(std::uint32_t row, std::uint64_t room) {
    if (next_.size() <= row) next_.resize(row + 1, kNone);
    next_[row] = head_[room];
    head_[room] = row;
    bits_[room / 64] |= std::uint64_t{1} << (room % 64);
  }
  /// Takes a row with the least room >= length out; kNone when there is none. `room` becomes its room.
  std::uint32_t take(std::uint64_t length, std::uint64_t& room) {
    std::size_t word = length / 64;
    std::uint64_t bits = bits_[word] & (~std::uint64_t{0} << (length % 64));
    while (bits == 0) {
      if (++word == bits_.size()) return kNone;
      bits = bits_[word];
    }
    room = word * 64 + static_cast<std::uint64_t>(std::countr_zero(bits));
    const std::uint32_t row = head_[room];
    head_[room] = next_[row];
    if (head_[room] == kNone) bits_[word] &= ~(std::uint64_t{1} << (room % 64));
    return row;
  }

 private:
  std::vector<std::uint32_t> head_;  // [seq_len + 1]: first row with that room
  std::vector<std::uint32_t> next_;  // [rows]: the next row with the same room
  std::vector<std::uint64_t> bits_;
};

/// Stable counting sort: indices of `key`, ascending by key in [0, keys).
std::vector<std::uint32_t> sort_by_key(const std::vector<std::uint32_t>& key, std::uint64_t keys,
                                       std::vector<std::uint64_t>& begin) {
  begin.assign(keys + 1, 0);
  for (std::uint32_t k : key) ++begin[k + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint64_t> at(begin.begin(), begin.end() - 1);
  std::vector<std::uint32_t> sorted(key.size());
  for (std::uint32_t i = 0; i < key.size(); ++i) sorted[at[key[i]]++] = i;
  return sorted;
}

}  // namespace

PieceRange piece_range(const Piece& piece, std::uint64_t tokens, std::uint64_t prompt, std::int64_t seq_len) {
  const auto row = static_cast<std::uint64_t>(seq_len);
  const std::uint64_t begin = piece.part * (row - 1), end = std::min(tokens, begin + row);
  const std::uint64_t first = std::max(prompt, begin + 1);  // a piece's first token has nothing to be predicted from
  return {begin, end, end > first ? end - first : 0};
}

Packing pack(const DocumentSizes& sizes, std::int64_t seq_len) {
  if (seq_len < 2) fail_input("train.seq_len is {}; it must be at least 2", seq_len);
  if (sizes.documents >= kNone)
    fail_input("{} documents in one source; at most {} are supported", sizes.documents, kNone - 1);
  const auto row_length = static_cast<std::uint64_t>(seq_len);
  Packing result;

  // Pieces in the order given, and for each how far it is from filling a row: the sort key.
  std::vector<Piece> pieces;
  std::vector<std::uint32_t> short_by;
  for (std::uint64_t i = 0; i < sizes.documents; ++i) {
    const auto document = static_cast<std::uint32_t>(sizes.order(i));
    const std::uint64_t tokens = sizes.tokens(document), prompt = sizes.prompt(document);
    const std::uint64_t parts = tokens < 2 ? 0 : (tokens - 2) / (row_length - 1) + 1;
    for (std::uint64_t part = 0; part < parts; ++part) {
      const Piece piece{document, static_cast<std::uint32_t>(part)};
      const PieceRange range = piece_range(piece, tokens, prompt, seq_len);
      if (range.targets == 0) {
        ++result.dropped;
        continue;
      }
      pieces.push_back(piece);
      short_by.push_back(static_cast<std::uint32_t>(row_length - (range.end - range.begin)));
      result.tokens += range.end - range.begin;
      result.targets += range.targets;
    }
  }
  if (pieces.size() >= kNone)
    fail_input("{} pieces of documents in one source; at most {} are supported", pieces.size(), kNone - 1);

  std::vector<std::uint64_t> begin;
  const std::vector<std::uint32_t> longest_first = sort_by_key(short_by, row_length, begin);
  OpenRows open(row_length);
  std::vector<std::uint32_t> row_of(pieces.size()), first_of;  // first_of: the earliest piece of each row
  for (std::uint32_t p : longest_first) {
    const std::uint64_t length = row_length - short_by[p];
    std::uint64_t room = row_length;
    std::uint32_t row = open.take(length, room);
    if (row == kNone) {
      row = static_cast<std::uint32_t>(first_of.size());
      first_of.push_back(p);
    }
    row_of[p] = row;
    first_of[row] = std::min(first_of[row], p);
    if (room > length) open.put(row, room - length);
  }

  // Number the rows by their earliest piece.
  std::vector<std::uint32_t> begins_row(pieces.size(), kNone), new_number(first_of.size());
  for (std::uint32_t r = 0; r < first_of.size(); ++r) begins_row[first_of[r]] = r;
  std::uint32_t next = 0;
  for (std::uint32_t r : begins_row)
    if (r != kNone) new_number[r] = next++;
  for (std::uint32_t& row : row_of) row = new_number[row];
  for (std::uint32_t p : sort_by_key(row_of, first_of.size(), result.row_begin)) result.pieces.push_back(pieces[p]);
  return result;
}

}  // namespace eddy::shard
