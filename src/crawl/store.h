#pragma once
// The folder of a crawl (docs/formats/corpus.md): records/, payloads/, state/.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/tar.h"

namespace eddy::crawl {

/// Makes the folders where they lack. A folder with files that is no store is refused (status 2).
void make_store(const std::filesystem::path& folder);

/// What earlier attempts have committed. Kept on disk; memory holds one key and one place a record.
class Memory {
 public:
  /// Reads all records of the folder, and repairs what a killed writer left: a last line without its end is cut off,
  /// payloads behind the last one that a record names are cut off. Only while nobody writes. Throws Error (status 2)
  /// naming the file and what to do for damage of any other kind.
  explicit Memory(const std::filesystem::path& folder);
  /// The record of this question; nothing where it was not asked. Failed ones are left out where `only_good`.
  std::optional<Record> find(const std::string& key, bool only_good = false) const;
  std::size_t size() const { return places_.size(); }

 private:
  struct Place {
    std::uint32_t file = 0;
    std::uint64_t offset = 0, bytes = 0;
    bool ok = false;
  };
  void read_file(const std::filesystem::path& file, std::map<std::string, std::uint64_t>& tar_ends);
  std::vector<std::filesystem::path> files_;
  std::vector<io::Descriptor> open_;
  std::map<std::string, Place> places_;
};

/// What one rank commits: its own file of records, and the tar files of its channels.
class Writer {
 public:
  /// Secrets are replaced wherever they would stand in a record.
  Writer(std::filesystem::path folder, int rank, std::uint64_t segment_bytes, std::vector<std::string> secrets);
  /// Durable once this returns. Returns the line as written.
  std::string commit(const Record& record);
  /// Stores the bytes of a channel's payload, durably; the record that names it is committed after.
  TarPlace store(const std::string& channel, const std::string& member, std::string_view bytes);

 private:
  std::filesystem::path folder_, path_;
  std::uint64_t segment_bytes_;
  std::vector<std::string> secrets_;
  io::Descriptor file_;
  std::map<std::string, TarWriter> tars_;
};

/// "host:example.org:80" → "host_example.org_80": a channel's name as part of a file's.
std::string file_stem(const std::string& channel);

}  // namespace eddy::crawl
