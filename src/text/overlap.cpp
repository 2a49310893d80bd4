#include "text/overlap.h"

#include "text/words.h"

namespace eddy::text {
namespace {
/// Place of a run in the filter: word and bit.
std::size_t word_of(std::uint64_t run, std::size_t size) {
  return run >> 6 & (size - 1);
}
std::uint64_t bit_of(std::uint64_t run) {
  return std::uint64_t{1} << (run & 63);
}
}  // namespace

bool Overlap::add(std::string_view text, std::uint32_t item) {
  word_hashes(text, words_);
  if (words_.size() < n_) return false;
  ngram_hashes(words_, n_, runs_);
  for (const std::uint64_t run : runs_) {
    items_.try_emplace(run, item);
    filter_[word_of(run, filter_.size())] |= bit_of(run);
  }
  return true;
}

std::optional<Overlap::Hit> Overlap::find(std::string_view text) {
  if (items_.empty()) return std::nullopt;
  word_hashes(text, words_, &ends_);
  if (words_.size() < n_) return std::nullopt;
  ngram_hashes(words_, n_, runs_);
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (!(filter_[word_of(runs_[i], filter_.size())] & bit_of(runs_[i]))) continue;
    const auto found = items_.find(runs_[i]);
    if (found == items_.end()) continue;
    const std::size_t begin = i > 0 ? ends_[i - 1] : 0;
    return Hit{found->second, std::string(text.substr(begin, ends_[i + n_ - 1] - begin))};
  }
  return std::nullopt;
}

}  // namespace eddy::text
