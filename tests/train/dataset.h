#pragma once
// A small dataset with something to learn: sequences that count upwards from a random start, some with a prompt.
#include <filesystem>

#include "base/rng.h"
#include "shard/writer.h"

namespace eddy_test {

inline constexpr std::uint64_t kTokenizerHash = 0x1234;

/// `documents` of 5 to 40 tokens below `vocab`, every eighth in the validation split.
inline void write_counting(const std::filesystem::path& dir, int documents, std::uint32_t vocab = 64,
                           std::uint64_t tokenizer = kTokenizerHash) {
  eddy::shard::DatasetWriter writer(dir, tokenizer, vocab);
  for (int d = 0; d < documents; ++d) {
    const auto random = eddy::philox(7, static_cast<std::uint64_t>(d));
    std::vector<std::uint32_t> tokens(5 + random[0] % 36);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = (random[1] + static_cast<std::uint32_t>(i) * (1 + random[2] % 3)) % vocab;
    writer.add(d % 8 == 7 ? eddy::shard::Split::validation : eddy::shard::Split::train, tokens, d % 3 == 0 ? 3 : 0);
  }
  writer.finish();
}

}  // namespace eddy_test
