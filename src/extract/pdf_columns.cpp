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

/// Where a gutter between columns runs, or -1: few segments cross it, and on both sides stand lines that fill theirs.
float gutter(const std::vector<PdfLine>& segments) {
  if (segments.size() < 10) return -1;
  float left = segments[0].left, right = segments[0].right;
  for (const PdfLine& s : segments) {
    left = std::min(left, s.left);
    right = std::max(right, s.right);
  }
  const float width = right - left;
  float best = -1, best_run = 0;
  std::size_t fewest = segments.size();
  for (float x = left + 0.15F * width; x < right - 0.15F * width; x += 2) {
    std::size_t crossing = 0, on_left = 0, on_right = 0;
    float left_top = 1e9F, left_bottom = 0, right_top = 1e9F, right_bottom = 0;
    float left_edge = 1e9F, right_edge = 0, left_fill = 0, right_fill = 0, gap_left = left, gap_right = right;
    for (const PdfLine& s : segments) {
      if (s.left < x - 2 && s.right > x + 2) {
        ++crossing;
      } else if (middle(s) > 0 && (s.left + s.right) / 2 < x) {
        ++on_left;
        left_top = std::min(left_top, s.top), left_bottom = std::max(left_bottom, s.bottom);
        left_edge = std::min(left_edge, s.left), left_fill += s.right - s.left;
        gap_left = std::max(gap_left, s.right);
      } else {
        ++on_right;
        right_top = std::min(right_top, s.top), right_bottom = std::max(right_bottom, s.bottom);
        right_edge = std::max(right_edge, s.right), right_fill += s.right - s.left;
        gap_right = std::min(gap_right, s.left);
      }
    }
    if (on_left < 4 || on_right < 4 || 4 * crossing > on_left + on_right) continue;
    const float together = std::min(left_bottom, right_bottom) - std::max(left_top, right_top);
    if (together < 0.4F * std::min(left_bottom - left_top, right_bottom - right_top)) continue;
    if (left_fill < 0.45F * (x - left_edge) * static_cast<float>(on_left) ||
        right_fill < 0.45F * (right_edge - x) * static_cast<float>(on_right))
      continue;
    const float run = gap_right - gap_left;
    if (crossing < fewest || (crossing == fewest && run > best_run)) {
      fewest = crossing;
      best_run = run;
      best = crossing == 0 && run > 0 ? (gap_left + gap_right) / 2 : x;
    }
  }
  return best;
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
