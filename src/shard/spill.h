#pragma once
// Tokenized documents on disk between the two passes of a build: the ids of one after the other, nothing else.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

#include "io/file.h"
#include "shard/plan.h"

namespace eddy::shard {

std::filesystem::path spill_path(const std::filesystem::path& folder, std::uint32_t number);

/// Fills `to` with what a rank wrote to the file from `offset` on. Throws Error (status 1) where it is shorter.
void read_written(const io::Descriptor& file, const std::filesystem::path& path, std::uint64_t offset,
                  std::span<std::byte> to);

class SpillWriter {
 public:
  SpillWriter(const std::filesystem::path& folder, std::uint32_t number);
  /// Appends ids and returns where they begin, in bytes.
  std::uint64_t append(std::span<const std::uint32_t> ids);
  void flush();  ///< writes what is buffered
  void sync();   ///< the same, down to the disk
  void close();  ///< flushes

 private:
  std::filesystem::path path_;
  io::Descriptor file_;
  std::vector<std::uint32_t> buffer_;
  std::uint64_t written_ = 0;
};

/// Spill files, opened as they are needed, read a document at a time.
class SpillReader {
 public:
  explicit SpillReader(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// The record's ids, until the next call.
  std::span<const std::uint32_t> tokens(const DocumentRecord& record);

 private:
  std::filesystem::path folder_;
  std::map<std::uint32_t, io::Descriptor> files_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace eddy::shard
