#pragma once
// PCRE2 with JIT behind move-only handles, and the translation of a tokenizer file's regular expressions, which are
// oniguruma's (Ruby syntax), into PCRE2's.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace eddy::tokenize {

/// The PCRE2 pattern that matches what oniguruma matches with `pattern`: classes become Eddy's own (unicode.h), scripts
/// (\p{Han}) stay PCRE2's. Throws Error (status 2), naming the construct, for what has no equal: possessive intervals,
/// nested or intersected classes, back references, inline options other than i; and for what needs more than 4 MiB of
/// PCRE2's text, where it stops.
std::string translate_oniguruma(std::string_view pattern);
/// A pattern that matches exactly the characters of `text`.
std::string quote(std::string_view text);

struct Match {
  std::size_t begin, end;  ///< bytes
};

/// What one thread needs to match; not shared.
class MatchScratch {
 public:
  MatchScratch();
  ~MatchScratch();
  MatchScratch(MatchScratch&&) noexcept;
  MatchScratch& operator=(MatchScratch&&) noexcept;

 private:
  friend class Regex;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A compiled pattern; immutable, may be shared by threads.
class Regex {
 public:
  /// Compiles an oniguruma pattern. Throws Error (status 2) naming the pattern and the place of the mistake.
  explicit Regex(std::string_view oniguruma_pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  /// The first match at or after `from` in `subject`, which must be well-formed UTF-8. Throws Error (status 1) when
  /// PCRE2 runs out of its limits.
  std::optional<Match> find(std::string_view subject, std::size_t from, MatchScratch& scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::tokenize
