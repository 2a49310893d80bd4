#pragma once
// What a build has done so far, on disk: token ids in spill files, and beside each a journal with an entry for every
// finished unit. A killed build goes on from the entries that are whole; what comes after the last one is done again.
//
// A journal is a sequence of entries: length (uint64), XXH3-64 of the payload (uint64), the payload (unit_result.h).
// Ids reach the disk before the entry that speaks of them.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/file.h"
#include "shard/spill.h"
#include "shard/unit_result.h"

namespace eddy::shard {

class JournalWriter {
 public:
  /// Makes the spill file and the journal of this number. Entries are committed every `seconds`.
  JournalWriter(const std::filesystem::path& folder, std::uint32_t number, double seconds);
  std::uint32_t number() const { return number_; }
  SpillWriter& spill() { return spill_; }
  void add(const UnitResult& result);
  void commit();  ///< ids and entries to the disk
  void close();   ///< commits

 private:
  std::uint32_t number_;
  SpillWriter spill_;
  std::filesystem::path path_;
  io::Descriptor file_;
  std::string buffer_;
  double seconds_;
  std::chrono::steady_clock::time_point committed_;
};

/// Where a unit's entry stands.
struct JournalPlace {
  std::uint32_t unit = 0, journal = 0;
  std::uint64_t offset = 0;  ///< of the payload, bytes
  std::uint64_t bytes = 0;
};

std::filesystem::path journal_path(const std::filesystem::path& folder, std::uint32_t number);
/// How many journals the folder has (0 .. n-1; some may be missing in between when a run was killed early).
std::uint32_t count_journals(const std::filesystem::path& folder);

/// The whole entries of a journal, in its order; `visit` gets each result. Stops in silence at a torn end, or where the
/// spill file is shorter than an entry says. Nothing for a journal that is not there.
void read_journal(const std::filesystem::path& folder, std::uint32_t number,
                  const std::function<void(const JournalPlace&, UnitResult&&)>& visit);
UnitResult read_entry(const std::filesystem::path& folder, const JournalPlace& place);

}  // namespace eddy::shard
