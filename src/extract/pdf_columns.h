#pragma once
// Lines of a page in reading order.
#include <string>
#include <vector>

#include "extract/pdf_layout.h"

namespace eddy::extract {

struct PdfLine {
  float left = 0, top = 0, right = 0, bottom = 0;
  float height = 0;  ///< of its words, the median
  std::size_t page = 0;
  bool furniture = false;  ///< header, footer, page number
  std::string text{};
};

/// Runs of words beside each other. Words come as the PDF library orders them: those of a line together.
std::vector<PdfLine> segments_of(const PdfPage& page, std::size_t number);

/// Runs on one height, from left to right, whatever column they stand in; from top to bottom.
std::vector<std::vector<PdfLine*>> rows_of(std::vector<PdfLine>& segments);

/// Segments as lines in reading order: columns, found by the gutters that few segments cross, are read one after the
/// other, between what spans them.
std::vector<PdfLine> reading_order(std::vector<PdfLine> segments);

}  // namespace eddy::extract
