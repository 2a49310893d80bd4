#include "tokenize/pretokenizer.h"

#include <algorithm>
#include <string>

namespace eddy::tokenize {

PreTokenizer::PreTokenizer(const PreTokenizerRule& rule, Engine engine) : add_prefix_space_(rule.add_prefix_space) {
  if (engine == Engine::fastest && DeepSeekSplits::recognise(rule)) {
    deepseek_.emplace();
    return;
  }
  for (const SplitRule& split : rule.splits) steps_.push_back({Regex(split.pattern), split.behavior, split.invert});
  if (rule.gpt2_split) after_prefix_ = Step{Regex(kGpt2Split), SplitBehavior::isolated, false};
}

/// One split of one piece, as Hugging Face's NormalizedString::split does it: the matches and what lies between them,
/// in order, then joined or dropped by the behaviour. Offsets count from `text`'s begin.
void PreTokenizer::split_one(const Step& step, std::string_view text, MatchScratch& scratch, std::vector<Part>& parts) {
  parts.clear();
  bool before_is_match = false;
  const auto joins_last = [&](bool match) {
    if (parts.empty()) return false;
    switch (step.behavior) {
      case SplitBehavior::contiguous:
        return match == before_is_match;
      case SplitBehavior::merged_with_previous:
        return match && !before_is_match;
      case SplitBehavior::merged_with_next:
        return !match && before_is_match;
      default:
        return false;
    }
  };
  const auto add = [&](std::size_t begin, std::size_t end, bool matched) {
    const bool match = matched != step.invert;
    if (joins_last(match))
      parts.back().end = end;
    else
      parts.push_back({begin, end, match && step.behavior == SplitBehavior::removed});
    before_is_match = match;
  };
  std::size_t done = 0, from = 0;
  std::optional<std::size_t> last_end;
  while (from <= text.size()) {
    const auto match = step.regex.find(text, from, scratch);
    if (!match) break;
    from = match->end;
    if (match->begin == match->end) {
      from += std::max<std::size_t>(character_length(text.substr(match->end)), 1);
      if (last_end == match->end) continue;  // no empty match right after a match
    }
    last_end = match->end;
    if (done != match->begin) add(done, match->begin, false);
    add(match->begin, match->end, true);
    done = match->end;
  }
  if (done != text.size()) add(done, text.size(), false);
}

void PreTokenizer::split(std::string_view text, MatchScratch& scratch, std::vector<Piece>& out) const {
  std::vector<Piece> pieces{{0, text.size()}}, finer;
  std::vector<Part> parts;
  for (const Step& step : steps_) {
    finer.clear();
    for (const Piece& piece : pieces) {
      split_one(step, text.substr(piece.begin, piece.end - piece.begin), scratch, parts);
      for (const Part& part : parts)
        if (!part.dropped && part.begin < part.end) finer.push_back({piece.begin + part.begin, piece.begin + part.end});
    }
    pieces.swap(finer);
  }
  for (Piece piece : pieces) {
    if (piece.begin == piece.end) continue;
    piece.space_before = add_prefix_space_ && text[piece.begin] != ' ';
    if (!after_prefix_) {
      out.push_back(piece);
      continue;
    }
    const std::size_t shift = piece.space_before ? 1 : 0;
    std::string spaced(shift, ' ');
    spaced += text.substr(piece.begin, piece.end - piece.begin);
    split_one(*after_prefix_, spaced, scratch, parts);
    for (const Part& part : parts) {
      const bool first = part.begin == 0 && shift == 1;
      if (part.begin < part.end)
        out.push_back({piece.begin + part.begin - (first ? 0 : shift), piece.begin + part.end - shift, first});
    }
  }
}

}  // namespace eddy::tokenize
