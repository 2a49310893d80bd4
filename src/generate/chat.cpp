#include "generate/chat.h"

#include "base/error.h"

namespace eddy::generate {

std::vector<std::int32_t> chat_prompt(tokenize::Tokenizer& tokenizer, const Dialogue& dialogue, bool think) {
  std::vector<std::int32_t> ids;
  const auto control = [&](const char* token) {
    const auto id = tokenizer.id_of(token);
    if (!id)
      fail_input("the tokenizer has no token {}, which R1's chat template needs; give the prompt as ids or with --raw",
                 token);
    ids.push_back(static_cast<std::int32_t>(*id));
  };
  const auto text = [&](const std::string& s) {
    for (const auto id : tokenizer.encode(s, tokenize::Tokenizer::Added::plain_text))
      ids.push_back(static_cast<std::int32_t>(id));
  };
  control("<｜begin▁of▁sentence｜>");
  text(dialogue.system);
  for (const Turn& turn : dialogue.turns) {
    control(turn.user ? "<｜User｜>" : "<｜Assistant｜>");
    if (turn.user) {
      text(turn.text);
      continue;
    }
    const std::string mark = "</think>";
    const auto end = turn.text.rfind(mark);
    text(end == std::string::npos ? turn.text : turn.text.substr(end + mark.size()));
    control("<｜end▁of▁sentence｜>");
  }
  control("<｜Assistant｜>");
  if (think) {
    control("<think>");
    text("\n");
  }
  return ids;
}

}  // namespace eddy::generate
