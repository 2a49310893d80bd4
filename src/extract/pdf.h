#pragma once
// Text of PDF files, by a program of its own: a damaged file that crashes or fills the memory takes only that program
// down.
#include <cstdint>
#include <filesystem>

#include "extract/outcome.h"

namespace eddy::extract {

struct PdfLimits {
  double seconds = 60;
  std::uint64_t memory_bytes = std::uint64_t{2} << 30;
  std::uint64_t text_bytes = std::uint64_t{256} << 20;
};

/// The program eddy-pdf-text beside this process's own executable, or an empty path when it was not built.
std::filesystem::path pdf_program();

/// Runs `program FILE` and takes UTF-8 from its standard output. The text is not cleaned yet, and ends before the
/// reference list, which goes to `references` when that is given.
Outcome extract_pdf(const std::filesystem::path& file, const std::filesystem::path& program,
                    const PdfLimits& limits = {}, std::string* references = nullptr);

// Exit statuses of eddy-pdf-text, beside 0: done.
inline constexpr int kPdfDamaged = 2;
inline constexpr int kPdfEncrypted = 3;
/// Stands before the reference list in its output (RS).
inline constexpr char kPdfReferences = '\x1e';

}  // namespace eddy::extract
