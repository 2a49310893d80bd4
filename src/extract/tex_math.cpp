// Mathematics: macros expanded, comments, labels and needless blanks dropped, everything else kept as it is.
#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {

enum class InMath { text, drop, drop_argument, drop_two, content, color, number_off };
const InMath* in_math(string_view name) {
  static const Names<InMath> table{{"protect", InMath::drop},
                                   {"relax", InMath::drop},
                                   {"xspace", InMath::drop},
                                   {"expandafter", InMath::drop},
                                   {"noexpand", InMath::drop},
                                   {"qedhere", InMath::drop},
                                   {"noindent", InMath::drop},
                                   {"centering", InMath::drop},
                                   {"makeatletter", InMath::drop},
                                   {"makeatother", InMath::drop},
                                   {"nonumber", InMath::number_off},
                                   {"notag", InMath::number_off},
                                   {"nonumbers", InMath::number_off},
                                   {"index", InMath::drop_argument},
                                   {"refstepcounter", InMath::drop_argument},
                                   {"setcounter", InMath::drop_two},
                                   {"addtocounter", InMath::drop_two},
                                   {"setlength", InMath::drop_two},
                                   {"ensuremath", InMath::content},
                                   {"color", InMath::drop_argument},
                                   {"textcolor", InMath::color},
                                   {"mathcolor", InMath::color}};
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

/// Puts pieces together: one blank where there were any, and between a control word and a letter.
class Writer {
 public:
  void put(string_view piece) {
    if (!out.empty() && (space_ || (word_ && is_letter(piece[0])))) out += ' ';
    space_ = false;
    out += piece;
    word_ = piece.size() > 1 && piece[0] == '\\' && is_letter(piece.back());
  }
  void put_word(string_view name) {
    if (!out.empty() && space_) out += ' ';
    space_ = false;
    out += '\\';
    out += name;
    word_ = is_letter(name.back());
  }
  void space() { space_ = true; }
  string out{};

 private:
  bool space_ = false, word_ = false;
};

string without_blanks(string s) {
  std::erase_if(s, [](char c) { return c == ' ' || c == '\n' || c == '\t'; });
  return s;
}

}  // namespace

string Interpreter::text_in_math(string_view raw) {
  if (renders_ >= 24) return string(raw);
  ++renders_;
  const std::size_t mark = in_.enter();
  const bool pushed = in_.push(raw, false);
  string inside = pushed ? formula(Stop::end).latex : string(raw);
  in_.leave(mark);
  --renders_;
  // Blanks at its ends are seen in print.
  if (!raw.empty() && is_blank(raw.front())) inside.insert(0, " ");
  if (raw.size() > 1 && is_blank(raw.back())) inside += ' ';
  return inside;
}

Interpreter::Formula Interpreter::formula(Stop stop, const string& environment, const MathEnvironment* kind) {
  ++mathematics_;
  Formula result;
  Writer w;
  const bool numbered = kind && kind->numbered;
  const bool display = stop != Stop::dollar && stop != Stop::paren && stop != Stop::end;
  bool row_numbered = numbered;
  if (numbered) result.number = numbers_.step("equation", "Equation");
  int braces = 0, nested = 0;
  bool tagged = false;
  const auto done = [&]() -> Formula {
    --mathematics_;
    result.latex = std::move(w.out);
    if (tagged || (result.label.empty() && !row_numbered)) result.number.clear();
    return std::move(result);
  };
  while (!finished_) {
    const int c = in_.peek();
    if (c == Reader::kEnd) break;
    if (c == '\\') {
      in_.get();
      string name = in_.control_name();
      if (name.empty()) continue;
      const bool blank = in_.blank_after_name();
      if ((stop == Stop::paren && name == ")") || (stop == Stop::bracket && name == "]")) return done();
      const Command* known = command(name);
      const Macro* macro = macros_.find(name);
      if (macro && known && known->fixed) macro = nullptr;
      if (macro && !macro->alias.empty()) {  // LaTeX's own, whatever it was redefined to
        name = macro->alias;
        known = command(name);
        macro = nullptr;
      }
      if (macro) {
        string passed;
        const auto text = expansion(*macro, in_, passed);
        if (text) {
          if (blank && macro->parameters.empty()) in_.push(" ", false);
          in_.push(*text, macro->at_letter);
        } else {
          w.put_word(name);
          if (!passed.empty()) w.put(passed);
        }
        continue;
      }
      if (known && known->what == Do::condition) {
        condition(name);
        continue;
      }
      if (known && known->what == Do::definition) {
        definition(name);
        continue;
      }
      if (name == "begin" || name == "end") {
        const string inner = without_blanks(in_.argument());
        if (name == "end" && stop == Stop::environment && inner == environment) return done();
        if (name == "end" && nested == 0) {
          // The end of something around it: what would have ended the formula is missing.
          bool around = inner == "document";
          for (const Group& g : groups_) around = around || g.environment == inner;
          if (around && !macros_.environment(inner)) {
            in_.push("\\end{" + inner + '}', false);
            return done();
          }
        }
        if (const Macros::Environment* own = macros_.environment(inner)) {
          if (name == "begin") {
            string passed;
            if (const auto text = expansion(own->begin, in_, passed)) in_.push(*text, own->begin.at_letter);
          } else {
            in_.push(own->end, own->begin.at_letter);
          }
          continue;
        }
        if (name == "begin" && inner == "comment" && skip_raw(inner, nullptr)) continue;
        nested += name == "begin" ? 1 : -1;
        if (nested < 0) nested = 0;
        w.put_word(name + '{' + inner + '}');
        continue;
      }
      if (name == "label") {
        const string label = in_.argument();
        numbers_.label(label);
        if (result.label.empty()) {
          result.label = label;
          if (numbered) result.number = numbers_.current();
        }
        continue;
      }
      if (name == "\\") {
        w.put("\\\\");
        in_.star();
        const string_view s = in_.rest();
        const std::size_t open = s.find_first_not_of(" \t");
        if (open != string_view::npos && s[open] == '[' && open + 1 < s.size() &&
            (s[open + 1] == '-' || s[open + 1] == '.' || (s[open + 1] >= '0' && s[open + 1] <= '9')))
          if (const std::size_t close = s.substr(0, open + 16).find(']'); close != string_view::npos)
            in_.advance(close + 1);
        if (kind && kind->rows && nested == 0 && braces == 0) {
          if (numbered) numbers_.step("equation", "Equation");
          row_numbered = numbered;
        }
        continue;
      }
      if (is_text_in_math(name)) {
        if (name == "hbox" || name == "vbox") skip_box_size();
        w.put_word(name + '{' + text_in_math(in_.argument()) + '}');
        continue;
      }
      if (known && known->what == Do::heading && stop != Stop::end) {
        in_.push('\\' + name + ' ', false);
        return done();
      }
      if (name == "par" && !display) break;
      if (const InMath* how = in_math(name)) {
        switch (*how) {
          case InMath::drop_two:
            in_.argument();
            [[fallthrough]];
          case InMath::drop_argument:
            in_.argument();
            break;
          case InMath::color:
            in_.argument();
            [[fallthrough]];
          case InMath::content:
            in_.push(in_.argument(), in_.at_letter());
            break;
          case InMath::number_off:
            if (row_numbered) numbers_.step_back("equation");
            row_numbered = false;
            break;
          default:
            break;
        }
        if (blank) w.space();
        continue;
      }
      if (name == "tag") {
        if (row_numbered) numbers_.step_back("equation");
        row_numbered = false;
        tagged = true;
        const bool star = in_.star();
        const string tag = text_in_math(in_.argument());
        numbers_.set_current(tag, "Equation");
        if (!result.label.empty()) numbers_.label(result.label);
        w.put_word(star ? "tag*{" + tag + '}' : "tag{" + tag + '}');
        continue;
      }
      if (name == "csname") {
        csname();
        continue;
      }
      if (name == "input") {
        input(name);
        continue;
      }
      if (name == "footnote") {
        footnote();
        continue;
      }
      if (known && known->what == Do::special && latex_ && name != "item" && name != "caption") {
        const string text = reference_text(name);
        if (!text.empty()) {
          w.put(text);
          continue;
        }
      }
      if (name == "ifthenelse") {
        in_.argument();
        const string yes = in_.argument();
        in_.argument();
        in_.push(yes, false);
        continue;
      }
      w.put_word(name == "\n" ? " " : name);
      if (blank) w.space();
      continue;
    }
    if (c == '%') {
      in_.skip_comment();
      continue;
    }
    if (c == '\n') {
      const bool empty = in_.line_end();
      if (empty && braces == 0 && nested == 0 &&
          (stop == Stop::dollar || stop == Stop::paren || stop == Stop::double_dollar)) {
        in_.push("\n\n", false);
        return done();
      }
      w.space();
      continue;
    }
    in_.get();
    if (c <= ' ') {
      w.space();
      continue;
    }
    if (c == '$') {
      if (braces == 0 && stop == Stop::dollar) return done();
      if (braces == 0 && stop == Stop::double_dollar) {
        if (in_.peek() == '$') in_.get();
        return done();
      }
    } else if (c == '{') {
      ++braces;
    } else if (c == '}') {
      if (braces == 0 && stop != Stop::end) {
        if (display) continue;
        in_.push("}", false);  // the group around it ends here: a dollar is missing
        return done();
      }
      --braces;
    }
    const char one = static_cast<char>(c);
    if (c < 0x80) {
      w.put({&one, 1});
    } else {
      string character(1, one);
      while (in_.peek() != Reader::kEnd && (in_.peek() & 0xC0) == 0x80) character += static_cast<char>(in_.get());
      w.put(character);
    }
  }
  return done();
}

}  // namespace eddy::extract::tex
