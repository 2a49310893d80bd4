#pragma once
// The directory that a build writes: everything is prepared below `.partial` and gets its name at the end.
#include <filesystem>
#include <string>
#include <string_view>

#include "shard/manifest.h"

namespace eddy::shard {

class OutputDirectory {
 public:
  static std::filesystem::path partial(const std::filesystem::path& dir) { return dir / ".partial"; }

  /// Makes the directory and an empty `.partial` in it. Throws Error (status 2) when the directory holds something and
  /// `overwrite` is not set, or is no directory.
  OutputDirectory(std::filesystem::path dir, bool overwrite);
  /// Removes `.partial`, and the directory when it was made here and is empty.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  /// Removes an earlier build's files, names the shards of the manifest, writes the tokenizer, and the manifest last.
  void commit(const Manifest& manifest, std::string_view tokenizer_json);

 private:
  std::filesystem::path dir_;
  bool made_ = false;
};

}  // namespace eddy::shard
