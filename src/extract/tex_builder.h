#pragma once
// Text as it comes, gathered into an article's blocks.
#include <string>
#include <string_view>
#include <vector>

#include "extract/article.h"

namespace eddy::extract::tex {

class Builder {
 public:
  /// While muted (in a preamble) nothing is gathered, but in containers.
  void mute(bool on) { muted_ = on; }
  bool muted() const { return muted_ && open_.empty(); }

  /// A run of text without line ends and doubled blanks.
  void text(std::string_view run) {
    if (muted()) return;
    if (space_ && !line_.empty() && line_.back() != '\n') line_ += ' ';
    space_ = false;
    line_ += run;
  }
  void space() { space_ = true; }
  void no_space() { space_ = false; }
  void line_break();
  void end_paragraph();
  /// True when the paragraph has no text yet.
  bool at_start() const { return line_.empty(); }
  /// The last character gathered in this paragraph, or 0.
  char last() const { return line_.empty() ? '\0' : line_.back(); }

  void display(std::string latex, std::string label, std::string number);
  void add(Block block);
  /// Shown behind the paragraph that it belongs to.
  void footnote(std::string text);
  void drop_notes() { notes_.clear(); }
  /// \label here: of the container, or of a heading or caption just added.
  void label(const std::string& name);

  /// Containers: what comes is theirs until they are closed.
  void open(Block block, bool is_abstract = false);
  void close();
  void close_to(std::size_t depth);
  std::size_t depth() const { return open_.size(); }
  Block* container() { return open_.empty() ? nullptr : &open_.back().block; }
  bool in(BlockKind kind) const;

  std::vector<Block> take_blocks();
  std::string take_text();  ///< all of it as text, for titles and notes
  std::string abstract{};

 private:
  struct Open {
    Block block;
    bool is_abstract = false;
  };
  void flush();
  std::vector<Block> blocks_{};
  std::vector<Open> open_{};
  std::vector<std::string> notes_{};
  std::string line_{};
  bool space_ = false, muted_ = false;
};

}  // namespace eddy::extract::tex
