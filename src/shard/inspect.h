#pragma once
// What a dataset directory holds, for people and as JSON.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "shard/shard.h"
#include "shard/split.h"
#include "tokenize/tokenizer.h"

namespace eddy::shard {

/// Per split: documents, tokens, targets, masked share, longest document, files, and each source's documents and
/// tokens; the tokenizer; what the build reported. With `verify` all files are read: their hashes, checksums and ids
/// are compared. Throws Error (status 2) naming what is damaged, or a document that is in two splits.
nlohmann::ordered_json inspect(const std::filesystem::path& dir, bool verify);
/// The same for people: at most `sources` sources a split, the largest first.
std::string inspect_text(const nlohmann::ordered_json& inspected, std::size_t sources);

/// The document's text with its masked tokens between ⟦ and ⟧ (dimmed with `colour`); at most `max_tokens` tokens.
std::string document_text(const DocumentView& document, const tokenize::Tokenizer& tokenizer, std::uint64_t max_tokens,
                          bool colour);

}  // namespace eddy::shard
