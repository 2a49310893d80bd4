#pragma once
// What a document is, and what it was made from.
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace eddy::shard {

/// Whole text; the user's own pair; pairs made from articles.
enum class DocKind : std::uint8_t { text, pair, abstract, section, definition, theorem, equation, summary };
inline constexpr std::array<std::string_view, 8> kKindNames{"text",       "pair",    "abstract", "section",
                                                            "definition", "theorem", "equation", "summary"};
inline std::string_view kind_name(DocKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}
inline std::optional<DocKind> kind_named(std::string_view name) {
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (kKindNames[i] == name) return static_cast<DocKind>(i);
  return std::nullopt;
}

/// Where a text came from; of duplicates the least is kept: LaTeX has the mathematics that a PDF has lost.
enum class Origin : std::uint8_t { latex, text, pdf };

/// Why a document that was read is not written.
enum class Dropped : std::uint8_t { no, exact_duplicate, near_duplicate, same_paper };

}  // namespace eddy::shard
