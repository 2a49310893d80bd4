#include "extract/pdf_columns.h"

#include <algorithm>

namespace eddy::extract {
namespace {

float overlap(float top, float bottom, float other_top, float other_bottom) {
  const float common = std::min(bottom, other_bottom) - std::max(top, other_top);
  return common / std::max(0.1F, std::min(bottom - top, other_bottom - other_top));
}

void merge(PdfLine& line, const PdfLine& more) {
  line.text += ' ';
  line.text += more.text;
  line.left = std::min(line.left, more.left);
  line.right = std::max(line.right, more.right);
  line.top = std::min(line.top, more.top);
  line.bottom = std::max(line.bottom, more.bottom);
  line.height = std::max(line.height, more.height);
}

float middle(const PdfLine& l) {
  return (l.top + l.bottom) / 2;
}

/// Segments of one column as lines, from top to bottom.
void append_lines(std::vector<PdfLine>& out, std::vector<PdfLine> column) {
  std::stable_sort(column.begin(), column.end(),
                   [](const PdfLine& a, const PdfLine& b) { return middle(a) < middle(b); });
  std::vector<bool> taken(column.size(), false);
  for (std::size_t i = 0; i < column.size(); ++i) {
    if (taken[i]) continue;
    std::vector<PdfLine*> row{&column[i]};
    float top = column[i].top, bottom = column[i].bottom;
    for (std::size_t k = i + 1; k < column.size() && k < i + 24; ++k) {
      if (taken[k] || overlap(top, bottom, column[k].top, column[k].bottom) < 0.5F) continue;
      const bool beside = std::all_of(row.begin(), row.end(), [&](const PdfLine* l) {
        return column[k].left > l->right - 1 || column[k].right < l->left + 1;
      });
      if (!beside) continue;
      taken[k] = true;
      row.push_back(&column[k]);
    }
    std::sort(row.begin(), row.end(), [](const PdfLine* a, const PdfLine* b) { return a->left < b->left; });
    PdfLine line = std::move(*row[0]);
    for (std::size_t k = 1; k < row.size(); ++k) merge(line, *row[k]);
    out.push_back(std::move(line));
  }
}

/// One side of a would-be gutter, row by row.
struct Side {
  std::size_t segments = 0;
  float top = 1e9F, bottom = 0, left = 1e9F, right = 0;
  std::vector<std::pair<float, float>> extents;  ///< of each row, from its first to its last segment

  explicit Side(std::size_t rows) : extents(rows) {}
  void clear() {
    segments = 0;
    top = left = 1e9F;
    bottom = right = 0;
    std::fill(extents.begin(), extents.end(), std::pair{1e9F, 0.0F});
  }
  void add(const PdfLine& s, std::size_t row) {
    ++segments;
    top = std::min(top, s.top), bottom = std::max(bottom, s.bottom);
    left = std::min(left, s.left), right = std::max(right, s.right);
    extents[row] = {std::min(extents[row].first, s.left), std::max(extents[row].second, s.right)};
  }
  /// How much of a column that ends at the gutter its rows fill, on average.
  float fill(float width) const {
    float sum = 0;
    int rows = 0;
    for (const auto& [from, to] : extents)
      if (to > from) {
        sum += to - from;
        ++rows;
      }
    return rows < 4 ? 0 : sum / (width * static_cast<float>(rows));
  }
};

/// Where a gutter between columns runs, or -1: few segments cross it, and on both sides stand rows that fill theirs.
float gutter(std::vector<PdfLine>& segments) {
  if (segments.size() < 10) return -1;
  const auto rows = rows_of(segments);
  float left = segments[0].left, right = segments[0].right;
  for (const PdfLine& s : segments) {
    left = std::min(left, s.left);
    right = std::max(right, s.right);
  }
  const float width = right - left;
  struct Candidate {
    float x, run;  ///< run: how wide the gap is, but for what crosses it
    std::size_t crossing;
  };
  std::vector<Candidate> candidates;
  std::size_t fewest = segments.size();
  Side on_left(rows.size()), on_right(rows.size());
  for (float x = left + 0.15F * width; x < right - 0.15F * width; x += 2) {
    const auto crosses = [x](const PdfLine& s) { return s.left < x - 2 && s.right > x + 2; };
    const auto crossing = static_cast<std::size_t>(std::count_if(segments.begin(), segments.end(), crosses));
    if (crossing > fewest || 5 * crossing > segments.size()) continue;
    on_left.clear();
    on_right.clear();
    for (std::size_t row = 0; row < rows.size(); ++row)
      for (const PdfLine* s : rows[row])
        if (!crosses(*s)) ((s->left + s->right) / 2 < x ? on_left : on_right).add(*s, row);
    const float together = std::min(on_left.bottom, on_right.bottom) - std::max(on_left.top, on_right.top);
    if (together < 0.4F * std::min(on_left.bottom - on_left.top, on_right.bottom - on_right.top)) continue;
    if (on_left.fill(x - on_left.left) < 0.7F || on_right.fill(on_right.right - x) < 0.7F) continue;
    fewest = std::min(fewest, crossing);
    const bool free = crossing == 0 && on_right.left > on_left.right;
    candidates.push_back({free ? (on_left.right + on_right.left) / 2 : x, on_right.left - on_left.right, crossing});
  }
  const Candidate* best = nullptr;  // of those that the fewest cross the widest
  for (const Candidate& c : candidates)
    if (c.crossing == fewest && (!best || c.run > best->run)) best = &c;
  return best ? best->x : -1;
}

void order(std::vector<PdfLine>& out, std::vector<PdfLine> segments, int depth) {
  const float x = depth < 4 ? gutter(segments) : -1;
  if (x < 0) return append_lines(out, std::move(segments));
  std::stable_sort(segments.begin(), segments.end(),
                   [](const PdfLine& a, const PdfLine& b) { return middle(a) < middle(b); });
  std::vector<PdfLine> left, right, across;
  const auto flush = [&] {
    order(out, std::move(left), depth + 1);
    order(out, std::move(right), depth + 1);
    left.clear();
    right.clear();
  };
  for (PdfLine& s : segments) {
    const bool crosses = s.left < x - 2 && s.right > x + 2;
    if (crosses) {
      if (!left.empty() || !right.empty()) {
        append_lines(out, std::move(across));
        across.clear();
        flush();
      }
      across.push_back(std::move(s));
      continue;
    }
    // Beside a line that crosses: a part of it.
    if (!across.empty() && overlap(across.back().top, across.back().bottom, s.top, s.bottom) > 0.5F) {
      across.push_back(std::move(s));
      continue;
    }
    if (!across.empty()) {
      append_lines(out, std::move(across));
      across.clear();
    }
    ((s.left + s.right) / 2 < x ? left : right).push_back(std::move(s));
  }
  append_lines(out, std::move(across));
  flush();
}

}  // namespace

std::vector<PdfLine> segments_of(const PdfPage& page, std::size_t number) {
  std::vector<PdfLine> lines;
  std::vector<float> heights;
  const auto finish = [&] {
    if (heights.empty()) return;
    const auto half = heights.begin() + static_cast<std::ptrdiff_t>(heights.size() / 2);
    std::nth_element(heights.begin(), half, heights.end());
    lines.back().height = *half;
    heights.clear();
  };
  const PdfWord* before = nullptr;
  for (const PdfWord& w : page.words) {
    if (w.text.empty()) continue;
    const float height = w.bottom - w.top;
    const bool beside = before && overlap(lines.back().top, lines.back().bottom, w.top, w.bottom) > 0.4F &&
                        w.left > before->right - 0.3F * height && w.left - before->right < 0.9F * height;
    if (!beside) {
      finish();
      lines.push_back({w.left, w.top, w.right, w.bottom, 0, number, false, w.text});
    } else {
      PdfLine& line = lines.back();
      if (before->space_after || w.left - before->right > 0.15F * height) line.text += ' ';
      line.text += w.text;
      line.right = std::max(line.right, w.right);
      line.top = std::min(line.top, w.top);
      line.bottom = std::max(line.bottom, w.bottom);
    }
    heights.push_back(height);
    before = &w;
  }
  finish();
  return lines;
}

std::vector<std::vector<PdfLine*>> rows_of(std::vector<PdfLine>& segments) {
  std::vector<PdfLine*> sorted;
  for (PdfLine& s : segments) sorted.push_back(&s);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const PdfLine* a, const PdfLine* b) { return middle(*a) < middle(*b); });
  std::vector<std::vector<PdfLine*>> rows;
  for (PdfLine* s : sorted) {
    if (rows.empty() || overlap(rows.back()[0]->top, rows.back()[0]->bottom, s->top, s->bottom) < 0.5F)
      rows.emplace_back();
    rows.back().push_back(s);
  }
  for (auto& row : rows)
    std::sort(row.begin(), row.end(), [](const PdfLine* a, const PdfLine* b) { return a->left < b->left; });
  return rows;
}

std::vector<PdfLine> reading_order(std::vector<PdfLine> segments) {
  std::vector<PdfLine> out;
  order(out, std::move(segments), 0);
  return out;
}

}  // namespace eddy::extract
