#pragma once
// Which texts share a run of n words with a set of evaluation items: those must not be trained on.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace eddy::text {

class Overlap {
 public:
  explicit Overlap(std::size_t n) : n_(n) {}

  /// Adds an item's text under a number of the caller's. False when it has fewer than n words: it cannot be checked.
  bool add(std::string_view text, std::uint32_t item);

  struct Hit {
    std::uint32_t item;  ///< the first one that shares the run
    std::string words;   ///< of the text looked at
  };
  /// The first run of n words that an item has as well.
  std::optional<Hit> find(std::string_view text);
  std::size_t runs() const { return items_.size(); }

 private:
  std::size_t n_;
  std::unordered_map<std::uint64_t, std::uint32_t> items_;  // run → item
  std::vector<std::uint64_t> filter_ =
      std::vector<std::uint64_t>(1 << 16);  // a bit for each run's low bits: most texts miss
  std::vector<std::uint64_t> words_, runs_;
  std::vector<std::uint32_t> ends_;
};

}  // namespace eddy::text
