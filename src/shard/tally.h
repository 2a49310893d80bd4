#pragma once
// What a build counts while it reads: good documents, rejected ones with reasons and places, what cleaning changed.
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "extract/outcome.h"
#include "shard/inputs.h"

namespace eddy::shard {

struct Rejection {
  std::uint32_t unit = 0;
  std::uint64_t line = 0;  ///< within the unit; 0: the whole file
  std::string reason{}, detail{};
};

class Tally {
 public:
  static constexpr std::size_t kListed = 100;  ///< rejections listed one by one; all are counted

  /// One document of a unit. A rank's units come in ascending order.
  void count(std::uint32_t unit, std::uint64_t line, const extract::Outcome& outcome);
  void count_lines(std::uint32_t unit, std::uint64_t lines);
  /// Adds to a counter of this name, shown in the report.
  void count(const std::string& what, std::uint64_t n);
  /// A document that was counted as good leaves after all.
  void withdraw(std::uint32_t unit, std::uint64_t line, const std::string& reason, const std::string& detail);
  /// Adds another rank's. The result does not depend on the order of adding.
  void add(const Tally& other);

  nlohmann::json to_json() const;  ///< for another rank
  static Tally from_json(const nlohmann::json& j);

  /// {"documents", "rejected": {reason: count}, "first_rejected": [{"where": "file:line", "reason", "detail"}], …}.
  nlohmann::ordered_json report(const std::vector<InputFile>& files, const std::vector<Unit>& units) const;
  std::uint64_t documents() const { return documents_; }
  /// [units]: how many lines of the same file come before each unit.
  std::vector<std::uint64_t> lines_before(const std::vector<Unit>& units) const;

 private:
  std::uint64_t documents_ = 0, invalid_utf8_ = 0, controls_ = 0, unresolved_inputs_ = 0;
  std::map<std::string, std::uint64_t> reasons_, counters_;
  std::vector<Rejection> first_;                  // ascending by (unit, line)
  std::map<std::uint32_t, std::uint64_t> lines_;  // of .jsonl units
};

/// "file:line", or the file's name for whole files.
std::string place_text(const std::string& file, std::uint64_t line);

}  // namespace eddy::shard
