#include "text/clean.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "base/error.h"

namespace eddy::text {
namespace {

/// Marks on one letter, as Unicode's Stream-Safe Text Format has it (UAX #15). Sorting a run of them, as NFC must,
/// takes the square of its length: 400 kB of marks were 20 s.
constexpr int kMostMarks = 30;
constexpr UChar32 kJoiner = 0x034F;  // COMBINING GRAPHEME JOINER: begins a new run and shows nothing

/// ICU takes 32-bit lengths.
constexpr std::size_t kLargest = std::size_t{1} << 30;

const icu::Normalizer2& nfc() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* n = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) fail_run("ICU has no NFC data: {}", u_errorName(status));
  return *n;
}

bool is_noncharacter(UChar32 c) {
  return (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
}

void append(std::string& out, UChar32 c) {
  char buffer[U8_MAX_LENGTH];
  std::int32_t n = 0;
  U8_APPEND_UNSAFE(buffer, n, c);
  out.append(buffer, static_cast<std::size_t>(n));
}

}  // namespace

Cleaned clean(std::string_view bytes) {
  if (bytes.size() > kLargest)
    fail_input("a text of {} bytes is longer than the 1 GiB that one document may have", bytes.size());
  Cleaned result;
  result.text.reserve(bytes.size());
  const auto* s = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto size = static_cast<std::int32_t>(bytes.size());
  bool ascii = true;
  int marks = 0;
  for (std::int32_t i = 0; i < size;) {
    const std::int32_t at = i;
    while (i < size && ((s[i] >= 0x20 && s[i] < 0x7F) || s[i] == '\n')) ++i;  // most text: taken as it is
    if (i > at) {
      result.text.append(bytes.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(i - at)));
      marks = 0;
      continue;
    }
    UChar32 c = 0;
    U8_NEXT(s, i, size, c);
    if (c < 0) {
      ++result.invalid;
      c = 0xFFFD;
    }
    ascii = ascii && c < 0x80;
    if (c == '\r') {
      if (i < size && s[i] == '\n') continue;
      c = '\n';
    } else if (c == '\f' || c == '\v' || c == 0x85) {
      c = '\n';
    } else if (c == 0xFEFF && at == 0) {
      continue;
    } else if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c <= 0x9F) || is_noncharacter(c)) {
      ++result.controls;
      continue;
    }
    marks = c >= 0x300 && u_getCombiningClass(c) > 0 ? marks + 1 : 0;
    if (marks > kMostMarks) {
      append(result.text, kJoiner);
      marks = 1;
    }
    append(result.text, c);
  }
  if (ascii) return result;
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece piece(result.text.data(), static_cast<std::int32_t>(result.text.size()));
  if (nfc().isNormalizedUTF8(piece, status) && U_SUCCESS(status)) return result;
  std::string composed;
  composed.reserve(result.text.size());
  icu::StringByteSink<std::string> sink(&composed);
  status = U_ZERO_ERROR;
  nfc().normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) fail_run("ICU cannot compose a text of {} bytes: {}", result.text.size(), u_errorName(status));
  result.text = std::move(composed);
  return result;
}

std::uint64_t count_characters(std::string_view utf8) {
  return static_cast<std::uint64_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_blank(std::string_view utf8) {
  const auto size = static_cast<std::int32_t>(std::min(utf8.size(), kLargest));
  for (std::int32_t i = 0; i < size;) {
    UChar32 c = 0;
    U8_NEXT(reinterpret_cast<const std::uint8_t*>(utf8.data()), i, size, c);
    if (c < 0 || !u_isUWhiteSpace(c)) return false;
  }
  return true;
}

}  // namespace eddy::text
