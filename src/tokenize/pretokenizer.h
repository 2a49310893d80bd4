#pragma once
// A text without added tokens → pre-tokens, by the splits of a tokenizer file.
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenize/deepseek_splits.h"
#include "tokenize/definition.h"
#include "tokenize/regex.h"
#include "tokenize/unicode.h"

namespace eddy::tokenize {

/// A pre-token: bytes [begin, end) of the text, with a space before them that the text has not (add_prefix_space).
struct Piece {
  std::size_t begin, end;
  bool space_before = false;
};

/// Immutable once built; may be shared by threads, each with its own MatchScratch.
class PreTokenizer {
 public:
  enum class Engine { fastest, pcre2 };  ///< pcre2: no hand-written scanner (the tests compare the two)
  explicit PreTokenizer(const PreTokenizerRule& rule, Engine engine = Engine::fastest);
  /// The DeepSeek-V3 scanner when the rule is DeepSeek's: then `split` need not be called.
  const DeepSeekSplits* deepseek() const { return deepseek_ ? &*deepseek_ : nullptr; }
  /// Splits well-formed UTF-8. Pieces are appended to `out`, in order; their offsets count from `text`'s begin.
  void split(std::string_view text, MatchScratch& scratch, std::vector<Piece>& out) const;

  /// Calls f(Piece) for each pre-token of any bytes. What is not well-formed UTF-8 is cut out first: each run of such
  /// bytes is a pre-token, and the stretches between are split as texts of their own.
  template <class F>
  void for_each(std::string_view text, MatchScratch& scratch, F&& f) const {
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t valid_end = at + valid_utf8_prefix(text.substr(at));
      if (deepseek_) {
        const char* const end = text.data() + valid_end;
        for (const char* p = text.data() + at; p < end;) {
          const char* q = deepseek_->next(p, end);
          f(Piece{static_cast<std::size_t>(p - text.data()), static_cast<std::size_t>(q - text.data())});
          p = q;
        }
      } else {
        pieces.clear();
        split(text.substr(at, valid_end - at), scratch, pieces);
        for (const Piece& piece : pieces) f(Piece{at + piece.begin, at + piece.end, piece.space_before});
      }
      at = valid_end;
      while (at < text.size() && character_length(text.substr(at)) == 0) ++at;
      if (at > valid_end) f(Piece{valid_end, at});
    }
  }

 private:
  struct Step {
    Regex regex;
    SplitBehavior behavior;
    bool invert;
  };
  struct Part {
    std::size_t begin, end;
    bool dropped;
  };
  static void split_one(const Step& step, std::string_view text, MatchScratch& scratch, std::vector<Part>& parts);
  std::optional<DeepSeekSplits> deepseek_;
  std::vector<Step> steps_;
  std::optional<Step> after_prefix_;
  bool add_prefix_space_;
};

}  // namespace eddy::tokenize
