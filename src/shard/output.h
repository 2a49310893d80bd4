#pragma once
// The directory that a build writes: everything is prepared below `.partial` and gets its name at the end.
//
// `.partial/run` holds what the build was told. When all of it is on the disk, `.partial/.build` comes to stand beside:
// a list of the names to be given. From then on a build that is killed has only names left to give; the same command
// does that. At last `.build` itself moves into the directory, which by it is known as complete, and whose.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"
#include "shard/build.h"

namespace eddy::shard {

class OutputDirectory {
 public:
  enum class State {
    fresh,     ///< nothing is done yet
    resumed,   ///< `.partial` has what an interrupted build of this fingerprint has committed
    prepared,  ///< all is on the disk, names are left to be given: finish()
    complete,  ///< a build of this fingerprint has ended: finish()
  };
  static std::filesystem::path partial(const std::filesystem::path& dir) { return dir / ".partial"; }

  /// Makes the directory and `.partial` in it. A `.partial` that a build of the same fingerprint left is kept, another
  /// one emptied. With `overwrite` a complete build counts as another's. Throws Error (status 2) when the directory
  /// holds something else and `overwrite` is not set, or is no directory. `files` gives and takes the names.
  OutputDirectory(std::filesystem::path dir, bool overwrite, const std::string& fingerprint,
                  io::FileSystem& files = io::disk());
  /// Removes `.partial` unless it shall be kept, and the directory when it was made here and is empty.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  State state() const { return state_; }
  /// The build ends early: what it has committed stays, for the next one.
  void keep();

  /// Adds tokenizer and manifest to each set in `.partial`; then the build is prepared: shards of the sets and `lists`
  /// (files in `.partial`) are on the disk.
  void prepare(const std::vector<BuiltSet>& sets, const std::vector<std::string>& lists,
               std::string_view tokenizer_json);
  /// Of a prepared build: removes an earlier one's files and gives the names, those of manifests last. Of both: the
  /// sets as their manifests have them; throws Error (status 2) where a file is not there, or not of the size written.
  std::vector<BuiltSet> finish();

 private:
  void give_names();
  void remove_old(const std::vector<std::string>& names);
  void give_name(const std::string& name);
  void sync_folders();

  std::filesystem::path dir_;
  std::string fingerprint_;
  io::FileSystem& files_;
  State state_ = State::fresh;
  bool made_ = false, keep_ = false;
};

/// Names of the directories that a build with pairs makes.
inline constexpr const char* kTextSet = "text";
inline constexpr const char* kPairSet = "pairs";
/// In a complete build's directory: what it was told, and its files.
inline constexpr const char* kBuildName = ".build";

}  // namespace eddy::shard
