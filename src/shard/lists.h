#pragma once
// What a build says of its documents one by one, and in sums: manifest.jsonl (papers that were written),
// rejected.jsonl, an evaluation task from held-out papers, and the balance of sources, fields and kinds.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shard/inputs.h"
#include "shard/journal.h"
#include "shard/plan.h"

namespace eddy::shard {

/// How a document ended: its split and how often it is written (0: it is not).
struct Fate {
  std::uint16_t copies = 0;
  Split split = Split::train;
};
/// A dropped document: which, and the place of the one that is kept instead of it.
struct Drop {
  std::uint64_t document = 0;
  std::uint32_t unit = 0;
  std::uint64_t line = 0;
  Dropped why = Dropped::no;
  bool of_pair = false;  ///< made from a paper: counted, not listed
};
std::string drop_reason(Dropped why);

struct ListInputs {
  const InputList& list;
  const std::vector<Unit>& units;
  const std::vector<JournalPlace>& places;         ///< [units with an entry], ascending by unit
  const std::vector<std::uint64_t>& first;         ///< [units]: number of each unit's first document
  const std::vector<std::uint64_t>& lines_before;  ///< [units]
  const std::vector<Fate>& fates;                  ///< [documents]
  const std::vector<Drop>& drops;                  ///< ascending by document
  std::string task_field;                          ///< empty: no task
  Split held_out = Split::test;                    ///< which split the task's papers are from
};
struct Lists {
  std::vector<std::string> files;  ///< names within the folder
  nlohmann::ordered_json balance;  ///< {"kind"|"source"|"field"|"licence": {name: {split: {"documents", "tokens"}}}}
  std::uint64_t questions = 0;
};
/// Writes the files into `folder`, reading one unit's entry at a time. On one rank.
Lists write_lists(const std::filesystem::path& folder, const ListInputs& inputs);

}  // namespace eddy::shard
