#pragma once
// The names of a shard's parts (docs/formats/shard.md).
#include <cstdint>
#include <string>

#include "shard/split.h"

namespace eddy::shard {

inline constexpr const char* kFormatName = "eddy-shard";
inline constexpr std::uint64_t kSchemaVersion = 1;

// datasets
inline constexpr const char* kTokens = "tokens";
inline constexpr const char* kDocOffsets = "doc_offsets";
inline constexpr const char* kDocPrompt = "doc_prompt";
inline constexpr const char* kDocSource = "doc_source";
inline constexpr const char* kDocHash = "doc_hash";
inline constexpr const char* kSourceOffsets = "source_offsets";
inline constexpr const char* kSourceNames = "source_names";
inline constexpr const char* kChecksum = "xxh3";  ///< attribute of each dataset

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kTokenizerName = "tokenizer.json";

/// "train-00003.h5".
std::string shard_file_name(Split split, std::uint64_t index);

}  // namespace eddy::shard
