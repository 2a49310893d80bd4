#include "extract/tex_builder.h"

#include "extract/render.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

void Builder::line_break() {
  space_ = false;
  if (muted() || line_.empty()) return;
  if (line_.back() != '\n') line_ += '\n';
}

void Builder::flush() {
  space_ = false;
  while (!line_.empty() && (line_.back() == ' ' || line_.back() == '\n')) line_.pop_back();
  if (line_.empty()) return;
  Block block{.text = std::move(line_)};
  line_.clear();
  add(std::move(block));
}

void Builder::end_paragraph() {
  flush();
  if (notes_.empty()) return;
  std::vector<string> notes;
  notes.swap(notes_);
  for (string& n : notes) add({.text = "(Footnote: " + n + ")"});
}

void Builder::display(string latex, string label, string number) {
  if (muted()) return;
  flush();
  if (latex.empty()) return;
  add({.kind = BlockKind::equation,
       .label = std::move(label),
       .number = std::move(number),
       .text = "$$" + latex + "$$"});
}

void Builder::add(Block block) {
  if (open_.empty()) {
    if (!muted_) blocks_.push_back(std::move(block));
    return;
  }
  string& text = open_.back().block.text;
  const bool item = block.kind == BlockKind::item;
  const string piece = render(block);
  if (piece.empty()) return;
  if (!text.empty()) text += item && text.back() != '\n' ? "\n" : "\n\n";
  text += piece;
}

void Builder::footnote(string text) {
  if (!text.empty() && !muted()) notes_.push_back(std::move(text));
}

void Builder::open(Block block, bool is_abstract) {
  end_paragraph();
  open_.push_back({std::move(block), is_abstract});
}

void Builder::close() {
  end_paragraph();
  if (open_.empty()) return;
  Open done = std::move(open_.back());
  open_.pop_back();
  if (done.is_abstract) {
    if (!abstract.empty() && !done.block.text.empty()) abstract += "\n\n";
    abstract += done.block.text;
  } else if (!done.block.text.empty() || !done.block.title.empty()) {
    add(std::move(done.block));
  }
}

void Builder::close_to(std::size_t depth) {
  while (open_.size() > depth) close();
}

bool Builder::in(BlockKind kind) const {
  for (const Open& o : open_)
    if (o.block.kind == kind) return true;
  return false;
}

void Builder::label(const string& name) {
  Block* block = container();
  if (!block && line_.empty() && !blocks_.empty()) {
    Block& last = blocks_.back();
    if (last.kind == BlockKind::heading || last.kind == BlockKind::caption) block = &last;
  }
  if (block && block->label.empty()) block->label = name;
}

std::vector<Block> Builder::take_blocks() {
  close_to(0);
  end_paragraph();
  return std::move(blocks_);
}

string Builder::take_text() {
  string out;
  for (const Block& b : take_blocks()) {
    if (!out.empty()) out += b.kind == BlockKind::item ? "\n" : "\n\n";
    out += render(b);
  }
  return out;
}

}  // namespace eddy::extract::tex
