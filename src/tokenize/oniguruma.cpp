// From oniguruma's Ruby syntax (what Hugging Face's `tokenizers` uses) to PCRE2's. Every literal is written as \x{…}
// and every class as Eddy's own ranges, so that neither library's defaults show through.
#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "tokenize/class_text.h"
#include "tokenize/pcre2_handle.h"
#include "tokenize/regex.h"
#include "tokenize/unicode.h"

namespace eddy::tokenize {
namespace {

/// A pattern's translation may be so long (bytes). PCRE2 takes no pattern that compiles to more than 64 KiB, which far
/// less text than this gives (unless it is thrown away again: \w{0}); two bytes of a stranger's, \b, are 60 kB of it.
constexpr std::size_t kMaxTranslated = 4 << 20;

class Translator {
 public:
  explicit Translator(std::string_view pattern) : text_(pattern) {
    if (valid_utf8_prefix(pattern) != pattern.size()) refuse("malformed UTF-8");
  }

  std::string translate() {
    while (at_ < text_.size()) {
      item();
      bound(out_);
    }
    return out_;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail_input("the regular expression '{}' has {} at byte {}, which Eddy does not support", abridged(text_), what,
               at_);
  }
  void bound(const std::string& translated) const {
    if (translated.size() > kMaxTranslated)
      refuse(fmt::format("more than {} MiB once written out for PCRE2", kMaxTranslated >> 20));
  }
  bool next_is(std::string_view s) const { return text_.substr(at_).starts_with(s); }
  bool take(std::string_view s) {
    if (!next_is(s)) return false;
    at_ += s.size();
    return true;
  }
  std::uint32_t take_character() {
    if (at_ >= text_.size()) refuse("an early end");
    const Decoded d = decode_utf8(text_.data() + at_);
    at_ += d.length;
    return d.code_point;
  }

  void item() {
    if (next_is("[")) {
      out_ += bracket();
    } else if (next_is("\\")) {
      out_ += escape();
    } else if (next_is("(")) {
      group();
    } else if (next_is("{")) {
      interval();
    } else if (take(".")) {
      out_ += "[^\\x{A}]";
    } else if (take("^")) {
      out_ += "(?m:^)";
    } else if (take("$")) {
      out_ += "(?m:$)";
    } else if (take(")")) {
      if (caseless_.size() == 1) refuse("an unmatched ')'");
      caseless_.pop_back();
      out_ += ")";
    } else if (next_is("*") || next_is("+") || next_is("?") || next_is("|")) {
      out_ += text_[at_++];
    } else {
      out_ += literal(take_character());
    }
  }

  void group() {
    if (next_is("(?i)") && at_ == 0) {  // elsewhere Ruby's scope of it differs from PCRE2's
      at_ += 4;
      out_ += "(?i)";
      caseless_.back() = true;
      return;
    }
    for (const char* opening : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"})
      if (take(opening)) {
        out_ += opening;
        caseless_.push_back(opening == std::string_view("(?i:") ||
                            (caseless_.back() && opening != std::string_view("(?-i:")));
        return;
      }
    if (next_is("(?") || next_is("(*")) refuse("the group '" + std::string(text_.substr(at_, 4)) + "'");
    ++at_;
    out_ += "(?:";
    caseless_.push_back(caseless_.back());
  }

  std::string digits() {
    std::string s;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') s += text_[at_++];
    return s;
  }

  void interval() {
    const std::size_t begin = at_++;
    const std::string low = digits();
    const bool comma = take(",");
    const std::string high = digits();
    if (!take("}") || (low.empty() && high.empty())) {  // not an interval: a literal brace
      at_ = begin + 1;
      out_ += literal('{');
      return;
    }
    if (next_is("+")) refuse("a '+' after an interval");
    if (next_is("?") && !comma) refuse("a '?' after a fixed interval");
    out_ += "{" + (low.empty() ? "0" : low) + (comma ? "," : "") + high + "}";
  }

  /// \s, \p{…} and their like, when one stands here: the items of a class and, but for scripts, their complement's.
  struct ClassEscape {
    std::string items, complement_items;
    bool negated;
    const std::string& as_items() const { return negated ? complement_items : items; }
  };
  std::optional<ClassEscape> take_class() {
    if (!next_is("\\") || at_ + 1 >= text_.size()) return std::nullopt;
    const char letter = text_[at_ + 1];
    if (letter == 'p' || letter == 'P') return take_property();
    const bool negated = letter >= 'A' && letter <= 'Z';
    const ClassText* text = class_text(static_cast<char>(negated ? letter - 'A' + 'a' : letter));
    if (!text) return std::nullopt;
    at_ += 2;
    return ClassEscape{text->items, text->complement_items, negated};
  }

  ClassEscape take_property() {
    const std::size_t end = text_.find('}', at_);
    if (!text_.substr(at_ + 2).starts_with("{") || end == std::string_view::npos) refuse("an unfinished property");
    std::string_view name = text_.substr(at_ + 3, end - at_ - 3);
    bool negated = text_[at_ + 1] == 'P';
    if (name.starts_with("^")) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::uint32_t set = name.size() <= 2 ? category_set(name) : 0;
    if (caseless_.back() && (name == "Lu" || name == "Ll" || name == "Lt")) refuse("a case property in (?i)");
    if (set) {
      at_ = end + 1;
      auto known = text_of_set_.find(set);
      if (known == text_of_set_.end()) known = text_of_set_.emplace(set, category_text(set)).first;
      return {known->second.items, known->second.complement_items, negated};
    }
    const std::string script = fmt::format("{{sc:{}}}", name);
    compile_pcre2("\\p" + script, text_);  // names what is unknown
    at_ = end + 1;
    return {"\\p" + script, "\\P" + script, negated};
  }

  /// The character that an escape or a plain character stands for.
  std::uint32_t take_escaped() {
    if (!take("\\")) return take_character();
    static const std::map<char, std::uint32_t> controls = {{'n', 10}, {'t', 9}, {'r', 13}, {'f', 12},
                                                           {'v', 11}, {'a', 7}, {'e', 27}, {'0', 0}};
    const std::uint32_t c = take_character();
    if (const auto known = controls.find(static_cast<char>(c)); c < 128 && known != controls.end())
      return known->second;
    if (c == 'x' || c == 'u') return take_hexadecimal(c == 'u' ? 4 : 2);
    if (c < 128 && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
      refuse(fmt::format("the escape '\\{}'", static_cast<char>(c)));
    return c;
  }

  std::uint32_t take_hexadecimal(std::size_t longest) {
    const bool braces = longest == 2 && take("{");
    std::uint32_t value = 0;
    std::size_t n = 0;
    for (; at_ < text_.size() && n < (braces ? 6 : longest) && std::isxdigit(static_cast<unsigned char>(text_[at_]));
         ++n)
      value = value * 16 + static_cast<std::uint32_t>(std::stoul(std::string(1, text_[at_++]), nullptr, 16));
    if (n == 0 || (braces && !take("}")) || value > kMaxCodePoint) refuse("a bad hexadecimal escape");
    return value;
  }

  std::string escape() {
    if (const auto c = take_class()) return (c->negated ? "[^" : "[") + c->items + "]";
    for (const char* anchor : {"\\A", "\\z", "\\Z"})
      if (take(anchor)) return anchor;
    if (next_is("\\b") || next_is("\\B")) {
      const bool boundary = text_[at_ + 1] == 'b';
      at_ += 2;
      const std::string w = "[" + class_text('w')->items + "]";
      return boundary ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", w)
                      : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", w);
    }
    return literal(take_escaped());
  }

  std::string bracket() {
    ++at_;
    const bool negated = take("^");
    std::string items;
    for (bool first = true; first || !next_is("]"); first = false) {
      bound(items);
      if (next_is("[")) refuse("a nested class");
      if (next_is("&&")) refuse("a class intersection");
      if (const auto c = take_class()) {
        items += c->as_items();
        continue;
      }
      const std::uint32_t low = take_escaped();
      items += literal(low);
      if (next_is("-") && !text_.substr(at_).starts_with("-]")) {
        ++at_;
        if (next_is("[")) refuse("a nested class");
        items += "-" + literal(take_escaped());
      }
    }
    ++at_;
    return (negated ? "[^" : "[") + items + "]";
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  std::map<std::uint32_t, ClassText> text_of_set_;
  std::vector<bool> caseless_ = {false};  // of each open group, the whole first
};

}  // namespace

std::string translate_oniguruma(std::string_view pattern) {
  return Translator(pattern).translate();
}

std::string quote(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded d = decode_utf8(text.data() + at);
    out += literal(d.code_point);
    at += d.length;
  }
  return out;
}

}  // namespace eddy::tokenize
