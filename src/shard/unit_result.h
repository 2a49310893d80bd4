#pragma once
// What became of one unit of work, as the journal keeps it.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shard/plan.h"
#include "shard/tally.h"

namespace eddy::shard {

struct UnitResult {
  std::uint32_t unit = 0;
  std::vector<DocumentRecord> records{};     ///< ascending by number
  std::vector<std::uint32_t> key_counts{};   ///< [records]: how many of `keys` are each record's
  std::vector<std::uint64_t> keys{};         ///< documents that share one are copies of each other (duplicates.h)
  std::vector<nlohmann::json> papers{};      ///< lines of manifest.jsonl, without what is counted later
  std::vector<nlohmann::json> rejections{};  ///< lines of rejected.jsonl
  std::vector<nlohmann::json> questions{};   ///< lines of the evaluation task, each with its "paper" (an index)
  Tally tally{};

  std::string encode() const;  ///< as MessagePack
  static UnitResult decode(std::string_view bytes);
};

}  // namespace eddy::shard
