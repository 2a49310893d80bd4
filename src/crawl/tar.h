#pragma once
// Append-only tar files (POSIX ustar) of one channel: <folder>/<name>-NNNN.tar, a new one once `segment_bytes` are
// reached. Members lie in the order they came; one writer.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "io/file.h"

namespace eddy::crawl {

struct TarPlace {
  std::string file;          ///< "arxiv-0000.tar"
  std::uint64_t offset = 0;  ///< of the member's data
  std::uint64_t bytes = 0;
};

class TarWriter {
 public:
  /// Goes on where the files in the folder end.
  TarWriter(std::filesystem::path folder, std::string name, std::uint64_t segment_bytes);
  /// Writes a member and syncs it; a name that is there already is not written again.
  TarPlace append(const std::string& member, std::string_view bytes);

 private:
  void open(int segment);
  std::string file_name(int segment) const;
  std::filesystem::path folder_;
  std::string name_;
  std::uint64_t segment_bytes_, size_ = 0;
  int segment_ = 0;
  io::Descriptor file_;
  std::map<std::string, TarPlace> members_;
};

/// The members of a tar file by name. Throws Error naming the file where it is none.
std::map<std::string, TarPlace> tar_members(const std::filesystem::path& file);
/// Bytes of a member with its header's and its padding's: where the next one begins, seen from its data's offset.
std::uint64_t tar_end(std::uint64_t offset, std::uint64_t bytes);

}  // namespace eddy::crawl
