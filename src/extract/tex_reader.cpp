#include "extract/tex_reader.h"

#include <algorithm>

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {
constexpr std::size_t kLongestStop = 200;  // of a delimited argument; it is compared at every character
}

Reader::Frame& Reader::open_frame() {
  if (depth_ > base_)
    frames_[depth_ - 1].position = static_cast<std::size_t>(cursor_ - frames_[depth_ - 1].text.data());
  if (depth_ == frames_.size()) frames_.emplace_back();
  return frames_[depth_++];
}

void Reader::close_frame() {
  Frame& top = frames_[--depth_];
  if (top.file) {
    at_letter_ = top.outer_at;
    --files_;
    top.text = string();  // expansions keep their memory for the next one, files do not
  }
  if (depth_ == 0) {
    cursor_ = end_ = nullptr;
    return;
  }
  const Frame& below = frames_[depth_ - 1];
  cursor_ = below.text.data() + below.position;
  end_ = below.text.data() + below.text.size();
}

bool Reader::push_file(string text, string folder, bool at_letter) {
  // A file that draws in itself twice would be read 2^20 times: all of them together have limits, too.
  if (!takes_files() || !take_bytes(text.size())) return false;
  ++all_files_;
  Frame& frame = open_frame();
  ++files_;
  frame.text = std::move(text);
  frame.file = true;
  frame.outer_at = at_letter_;
  frame.folder = std::move(folder);
  at_letter_ = at_letter;
  cursor_ = frame.text.data();
  end_ = cursor_ + frame.text.size();
  return true;
}

bool Reader::take_bytes(std::size_t bytes) {
  if (pushed_ + bytes > budget_) {
    all_files_ = 1000;  // nor are others read that would be refused
    return false;
  }
  pushed_ += bytes;
  return true;
}

bool Reader::takes(std::size_t bytes) const {
  const bool fresh = in_file() && cursor_ != file_cursor_;
  const int expansions = fresh ? 0 : expansions_here_;
  const std::uint64_t here = fresh ? 0 : pushed_here_;
  return depth_ <= 4000 && expansions <= 100'000 && here + bytes <= (8u << 20) && pushed_ + bytes <= budget_;
}

bool Reader::push(string_view text, bool at) {
  if (in_file()) {
    if (cursor_ != file_cursor_) {
      file_cursor_ = cursor_;
      expansions_here_ = 0;
      pushed_here_ = 0;
    }
  }
  ++expansions_here_;
  if (!takes(text.size())) return false;
  pushed_ += text.size();
  pushed_here_ += text.size();
  // A frame that is read to its end needs not stay below: loops by tail calls use no memory.
  while (depth_ > base_ && cursor_ == end_ && !frames_[depth_ - 1].file &&
         frames_[depth_ - 1].text.data() != text.data())
    close_frame();
  Frame& frame = open_frame();
  frame.text.assign(text);
  frame.file = false;
  frame.at = at;
  cursor_ = frame.text.data();
  end_ = cursor_ + frame.text.size();
  return true;
}

std::size_t Reader::enter() {
  if (depth_ > base_)
    frames_[depth_ - 1].position = static_cast<std::size_t>(cursor_ - frames_[depth_ - 1].text.data());
  const std::size_t mark = base_;
  base_ = depth_;
  cursor_ = end_ = nullptr;
  return mark;
}

void Reader::leave(std::size_t mark) {
  while (depth_ > base_) close_frame();
  base_ = mark;
  cursor_ = end_ = nullptr;
  if (depth_ > base_) {
    const Frame& top = frames_[depth_ - 1];
    cursor_ = top.text.data() + top.position;
    end_ = top.text.data() + top.text.size();
  }
}

bool Reader::refill() {
  while (depth_ > base_ && cursor_ == end_) {
    if (depth_ - 1 == base_) {  // what was read by itself ends; the frame stays so that nothing below is seen
      close_frame();
      cursor_ = end_ = nullptr;
      return false;
    }
    close_frame();
  }
  return depth_ > base_ && cursor_ != end_;
}

bool Reader::at_letter() const {
  if (depth_ > base_ && !frames_[depth_ - 1].file) return frames_[depth_ - 1].at;
  return at_letter_;
}

const string& Reader::folder() const {
  static const string none;
  for (std::size_t i = depth_; i > 0; --i)
    if (frames_[i - 1].file) return frames_[i - 1].folder;
  return none;
}

void Reader::skip_comment() {
  while (cursor_ != end_ && *cursor_ != '\n') ++cursor_;
  if (cursor_ != end_) ++cursor_;
  while (cursor_ != end_ && is_blank(*cursor_)) ++cursor_;
}

bool Reader::line_end() {
  ++cursor_;
  bool empty = false;
  for (;;) {
    while (cursor_ != end_ && (is_blank(*cursor_) || *cursor_ == '\r')) ++cursor_;
    if (cursor_ == end_ || *cursor_ != '\n') return empty;
    empty = true;
    ++cursor_;
  }
}

bool Reader::skip_space() {
  bool any = false;
  for (;; any = true) {
    const int c = peek();
    if (c == ' ' || c == '\t' || c == '\r') {
      ++cursor_;
    } else if (c == '%') {
      skip_comment();
    } else if (c == '\n') {
      const char* at = cursor_ + 1;
      while (at != end_ && (is_blank(*at) || *at == '\r')) ++at;
      if (at != end_ && *at == '\n') return any;
      cursor_ = at;
    } else {
      return any;
    }
  }
}

string Reader::control_name() {
  blank_after_name_ = false;
  if (cursor_ == end_) return "";
  const bool at = at_letter();
  const char* begin = cursor_;
  while (cursor_ != end_ && (is_letter(*cursor_) || (at && *cursor_ == '@'))) ++cursor_;
  if (cursor_ == begin) {
    ++cursor_;
    if (static_cast<unsigned char>(*begin) >= 0x80)
      while (cursor_ != end_ && (static_cast<unsigned char>(*cursor_) & 0xC0) == 0x80) ++cursor_;
    return string(begin, cursor_);
  }
  string name(begin, cursor_);
  while (cursor_ != end_ && is_blank(*cursor_)) {
    ++cursor_;
    blank_after_name_ = true;
  }
  if (cursor_ != end_ && (*cursor_ == '\n' || *cursor_ == '\r')) {
    const char* next = cursor_ + 1;
    while (next != end_ && (is_blank(*next) || *next == '\r')) ++next;
    if (next == end_ || *next != '\n') {
      cursor_ = next;
      blank_after_name_ = true;
    }
  }
  return name;
}

/// What a search looks through.
string_view Reader::searched() const {
  return in_vain_ < budget_ ? rest() : rest().substr(0, kWindow);
}

/// Where the '}' stands that closes a group of which `s` is the inside, or npos.
std::size_t Reader::group_end(string_view s) const {
  int depth = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (c == '\\') {
      ++i;
    } else if (c == '%') {
      i = std::min(s.find('\n', i), s.size());
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth < 0) {
      return i;
    }
  }
  return string_view::npos;
}

string Reader::group() {
  const string_view s = rest(), near = searched();
  const std::size_t close = group_end(near);
  if (close != string_view::npos) {
    cursor_ += close + 1;
    return without_comments(s.substr(0, close));
  }
  in_vain_ += near.size();
  if (in_file() || depth_ - 1 == base_ || depth_ == base_) {  // never closed: the paragraph's end is the likeliest end
    const std::size_t end = std::min(s.find("\n\n"), s.size());
    cursor_ += end;
    return without_comments(s.substr(0, end));
  }
  string out;  // it began in a macro's expansion and ends behind it
  for (int depth = 0;;) {
    const int c = get();
    if (c == kEnd || (c == '}' && --depth < 0) || out.size() > (8u << 20)) return out;
    if (c == '%') {
      --cursor_;
      skip_comment();
      continue;
    }
    if (c == '{') ++depth;
    out.push_back(static_cast<char>(c));
    if (c == '\\')
      if (const int next = get(); next != kEnd) out.push_back(static_cast<char>(next));
  }
}

string Reader::argument() {
  skip_space();
  const int c = peek();
  if (c == kEnd || c == '}' || c == '\n') return "";
  ++cursor_;
  if (c == '{') return group();
  if (c == '\\') return '\\' + control_name();
  string out(1, static_cast<char>(c));
  if (c >= 0xC0)
    while (cursor_ != end_ && (static_cast<unsigned char>(*cursor_) & 0xC0) == 0x80) out.push_back(*cursor_++);
  return out;
}

std::optional<string> Reader::optional_argument(char open, char close) {
  peek();
  const char* const back = cursor_;
  const std::size_t depth = depth_;
  skip_space();
  if (peek() != open) {
    if (depth_ == depth && depth_ > base_) cursor_ = back;
    return std::nullopt;
  }
  int braces = 0;
  const char* at = cursor_ + 1;
  for (const char* const end = cursor_ + searched().size(); at < end; ++at) {
    if (*at == '\\' && at + 1 != end_) {
      ++at;
    } else if (*at == '{') {
      ++braces;
    } else if (*at == '}' && --braces < 0) {
      break;
    } else if (*at == '\n' && at + 1 != end_ && at[1] == '\n') {
      break;
    } else if (*at == close && braces == 0) {
      string out = without_comments({cursor_ + 1, static_cast<std::size_t>(at - cursor_ - 1)});
      cursor_ = at + 1;
      return out;
    }
  }
  in_vain_ += static_cast<std::uint64_t>(at - cursor_);
  if (depth_ == depth) cursor_ = back;
  return std::nullopt;
}

bool Reader::star() {
  if (peek() != '*') return false;
  ++cursor_;
  return true;
}

std::optional<string_view> Reader::until(string_view stop) {
  peek();
  const string_view s = searched();
  const std::size_t at = s.find(stop);
  if (at == string_view::npos) {
    in_vain_ += s.size();
    return std::nullopt;
  }
  cursor_ += at + stop.size();
  return s.substr(0, at);
}

std::optional<string> Reader::delimited(string_view stop) {
  peek();
  if (stop.size() > kLongestStop) return std::nullopt;
  const string_view s = searched();
  int braces = 0;
  std::size_t i = 0;
  for (; i < s.size(); ++i) {
    if (braces == 0 && s.substr(i, stop.size()) == stop) {
      const bool word = stop.size() > 1 && stop[0] == '\\' && is_letter(stop.back());
      if (!word || i + stop.size() >= s.size() || !is_letter(s[i + stop.size()])) {
        cursor_ += i + stop.size();
        string out = without_comments(s.substr(0, i));
        if (out.size() > 1 && out[0] == '{' && group_end(string_view(out).substr(1)) == out.size() - 2)
          out = out.substr(1, out.size() - 2);
        return out;
      }
    }
    if (s[i] == '\\') {
      ++i;
    } else if (s[i] == '%') {
      i = std::min(s.find('\n', i), s.size());
    } else if (s[i] == '{') {
      ++braces;
    } else if (s[i] == '}' && --braces < 0) {
      break;
    }
  }
  in_vain_ += std::min(i, s.size());
  return std::nullopt;
}

bool Reader::holds(string_view what) {
  const string_view s = searched();
  if (s.find(what) != string_view::npos) return true;
  in_vain_ += s.size();
  return false;
}

string without_comments(string_view s) {
  if (s.find('%') == string_view::npos) return string(s);
  string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] == '\\') {
      out.append(s.substr(i, 2));
      i += 2;
    } else if (s[i] == '%') {
      i = std::min(s.find('\n', i), s.size());
      if (i < s.size()) ++i;
      while (i < s.size() && is_blank(s[i])) ++i;
      if (i < s.size() && s[i] == '\n' && !out.empty() && out.back() != '\n') out.push_back('\n');
    } else {
      out.push_back(s[i++]);
    }
  }
  return out;
}

}  // namespace eddy::extract::tex
