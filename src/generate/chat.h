#pragma once
// R1's chat template, built from token ids directly: begin-of-sentence, system text, then User and Assistant turns.
#include <string>
#include <vector>

#include "tokenize/tokenizer.h"

namespace eddy::generate {

struct Turn {
  bool user = true;
  std::string text;  ///< an assistant's text with everything up to </think> left out, as R1's template does
};
struct Dialogue {
  std::string system;
  std::vector<Turn> turns;
};
/// Ids that ask for the next assistant turn; `think` opens it with <think> and a line feed, as R1's template does.
/// Texts cannot inject control tokens. Throws Error (status 2) when the tokenizer lacks the template's tokens.
std::vector<std::int32_t> chat_prompt(tokenize::Tokenizer& tokenizer, const Dialogue& dialogue, bool think);

}  // namespace eddy::generate
