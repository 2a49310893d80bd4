#pragma once
// The directory that a build writes: everything is prepared below `.partial` and gets its name at the end.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shard/build.h"

namespace eddy::shard {

class OutputDirectory {
 public:
  static std::filesystem::path partial(const std::filesystem::path& dir) { return dir / ".partial"; }

  /// Makes the directory and `.partial` in it. A `.partial` that a build of the same fingerprint left is kept, another
  /// one emptied. Throws Error (status 2) when the directory holds something and `overwrite` is not set, or is no
  /// directory.
  OutputDirectory(std::filesystem::path dir, bool overwrite, const std::string& fingerprint);
  /// Removes `.partial` unless it shall be kept, and the directory when it was made here and is empty.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  bool resumed() const { return resumed_; }
  /// The build ends early: what it has committed stays, for the next one.
  void keep();

  /// Removes an earlier build's files, names the shards of the sets and the `lists` (files in `.partial`), writes the
  /// tokenizer into each set, and each manifest last.
  void commit(const std::vector<BuiltSet>& sets, const std::vector<std::string>& lists,
              std::string_view tokenizer_json);

 private:
  std::filesystem::path dir_;
  bool made_ = false, resumed_ = false, keep_ = false;
};

/// Names of the directories that a build with pairs makes.
inline constexpr const char* kTextSet = "text";
inline constexpr const char* kPairSet = "pairs";

}  // namespace eddy::shard
