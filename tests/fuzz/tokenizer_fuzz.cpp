// Any bytes as text to be tokenized by DeepSeek-V3's splits: decoding gives the text back, the hand-written scanner and
// PCRE2 agree, offsets tile the text, and text of strangers gives no control token.
#include "tokenize/tokenizer.h"

#include <cstdint>
#include <cstdlib>

#include "tokenize/trainer.h"

using namespace eddy::tokenize;

namespace {

std::string trained() {
  BpeTrainer trainer(600);
  trainer.add(
      "The energy of the flow is conserved: $E = \\frac{1}{2} m v^2$, and in 1999 the 3 others' proofs failed.\n\n"
      "the theory of the thing  \t\r\n, \\begin{equation} \\end{equation} 漢字かな ñandú e\u0301 ½ 😀");
  return trainer.finish();
}

void check(Tokenizer& t, Tokenizer& slow, std::string_view text, Tokenizer::Added added) {
  const auto ids = t.encode(text, added);
  if (t.decode(ids) != text || t.encode(text, added) != ids || slow.encode(text, added) != ids) std::abort();
  const auto spans = t.encode_with_offsets(text, added);
  if (spans.size() != ids.size()) std::abort();
  std::size_t at = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].id != ids[i] || spans[i].begin != at || spans[i].end <= at || spans[i].end > text.size()) std::abort();
    if (t.bytes_of(ids[i]) != text.substr(at, spans[i].end - at)) std::abort();
    if (added == Tokenizer::Added::plain_text && t.is_special(ids[i])) std::abort();
    at = spans[i].end;
  }
  if (at != text.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string file = trained();
  static Tokenizer fast = Tokenizer::from_json(file, "toy"),
                   slow = Tokenizer::from_json(file, "toy", PreTokenizer::Engine::pcre2);
  // A copy of just its size: what reads behind the end is seen.
  const std::vector<char> copy(data, data + size);
  const std::string_view text(copy.data(), copy.size());
  check(fast, slow, text, Tokenizer::Added::recognised);
  check(fast, slow, text, Tokenizer::Added::plain_text);
  return 0;
}
