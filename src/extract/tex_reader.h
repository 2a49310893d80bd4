#pragma once
// What TeX's eyes and mouth do: a stack of texts being read (files, expansions of macros), control sequences,
// arguments, comments. Category codes are LaTeX's own; only whether '@' is a letter changes.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace eddy::extract::tex {

inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

class Reader {
 public:
  static constexpr int kEnd = -1;

  /// `budget`: bytes that expansions may push in all; beyond it they are refused. As many may be searched in vain (for
  /// a '}' that never comes, and then again from the next '{'); from then on a search sees the next kWindow bytes.
  explicit Reader(std::uint64_t budget) : budget_(budget) {}
  static constexpr std::size_t kWindow = 1024;

  /// Reads this text next. False: refused. Files are, 20 levels within each other or 1,000 in all; expansions are,
  /// 4,000 levels deep, or more than 100,000 of them (or 8 MiB) for one character of a file: macros that never end.
  bool push_file(std::string text, std::string folder, bool at_letter);
  bool push(std::string_view text, bool at_letter);
  bool takes(std::size_t bytes) const;  ///< would `push` take a text of so many?
  /// False when no file would be taken any more, so that it need not be read; or none of `bytes` for a text that goes
  /// into the output as it is (which is taken from the budget then).
  bool takes_files() const { return files_ < 20 && all_files_ < 1000 && depth_ <= 4000; }
  bool take_bytes(std::size_t bytes);
  std::uint64_t pushed() const { return pushed_; }

  /// Hides all that was pushed so far until `leave`, so that a text can be read by itself.
  std::size_t enter();
  void leave(std::size_t mark);

  /// The next character, or kEnd.
  int peek() { return cursor_ != end_ || refill() ? static_cast<unsigned char>(*cursor_) : kEnd; }
  int get() {
    const int c = peek();
    if (c != kEnd) ++cursor_;
    return c;
  }
  /// What is left of the text on top; characters of it are passed by `advance`.
  std::string_view rest() const { return {cursor_, static_cast<std::size_t>(end_ - cursor_)}; }
  void advance(std::size_t n) { cursor_ += n; }

  /// Past blanks, comments and single line ends; stops before an empty line. True when anything was passed.
  bool skip_space();
  /// At '%': past the comment, the line end, and the next line's blanks (an empty line is left to be seen).
  void skip_comment();
  /// At a line end: true when the next line is empty; passes all empty lines then, else the line end and blanks.
  bool line_end();

  /// Behind '\': the control sequence's name (letters, or one character); blanks behind letters are passed.
  std::string control_name();
  bool blank_after_name() const { return blank_after_name_; }

  /// The next argument as raw text without comments: a group's inside, a control sequence, or one character.
  std::string argument();
  /// Behind '{': up to the matching '}', which is passed. Without one: up to the next empty line.
  std::string group();
  /// [ … ] when it is next (behind blanks), else nothing is passed.
  std::optional<std::string> optional_argument(char open = '[', char close = ']');
  bool star();
  /// Raw text up to `stop`, which is passed; nothing when the text on top has none.
  std::optional<std::string_view> until(std::string_view stop);
  /// As `until`, with comments removed and groups kept whole: a delimited argument of \def.
  std::optional<std::string> delimited(std::string_view stop);
  /// Does `what` stand anywhere in the text on top?
  bool holds(std::string_view what);
  std::uint64_t in_vain() const { return in_vain_; }  ///< bytes searched without a find, in all

  bool at_letter() const;
  void set_at_letter(bool on) { at_letter_ = on; }
  const std::string& folder() const;
  bool in_file() const { return depth_ > base_ && frames_[depth_ - 1].file; }

 private:
  struct Frame {
    std::string text{};
    std::size_t position = 0;  ///< of the frames below the top
    bool file = false, at = false, outer_at = false;
    std::string folder{};
  };
  bool refill();
  Frame& open_frame();
  void close_frame();
  std::size_t group_end(std::string_view s) const;
  std::string_view searched() const;

  std::deque<Frame> frames_{};
  std::size_t depth_ = 0, base_ = 0;
  const char* cursor_ = nullptr;
  const char* end_ = nullptr;
  bool at_letter_ = false, blank_after_name_ = false;
  std::uint64_t budget_, pushed_ = 0, pushed_here_ = 0, in_vain_ = 0;
  int expansions_here_ = 0, files_ = 0, all_files_ = 0;
  const char* file_cursor_ = nullptr;
};

/// `text` without comments, as TeX reads it.
std::string without_comments(std::string_view text);

}  // namespace eddy::extract::tex
