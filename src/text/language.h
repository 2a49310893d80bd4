#pragma once
// The language of a text, as far as a corpus of papers needs it: told by script and by function words.
#include <string>
#include <string_view>

namespace eddy::text {

struct Language {
  std::string code = "unknown";  ///< en, de, fr, es, it, pt, nl, pl; by script: ru, zh, ja, ko, ar, he, el; or unknown
  double share = 0;              ///< of the words that are function words of it (of the letters, for a script)
};

/// `text` without mathematics. Another script than Latin is it when it has more than 3 in 10 letters; else the
/// language most of whose function words are there, when they make up at least 8 in 100 words.
Language detect_language(std::string_view text);

}  // namespace eddy::text
