#pragma once
// Writes the files of a model folder by several threads, each a file of its own at a time, so that an interrupted run
// goes on where it stopped: a file that is complete has a note beside it, NAME.done, with its hash.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "hf/safetensors_writer.h"

namespace eddy::hf {

/// One file to be: its name and its tensors in the order in which they lie in it.
struct FilePlan {
  std::string name;
  std::vector<Declared> tensors;
};

/// What a complete file holds.
struct FileNote {
  std::string name;
  std::uint64_t bytes = 0;
  std::string xxh3;  ///< XXH3-64 of the whole file
};

/// Makes rows [first, first + rows) of a tensor (entries of its first dimension; a scalar is one row). Called from
/// several threads at once, for one tensor by one thread, ascending, in pieces that begin at multiples of 128 rows; the
/// FP8 scales of a file come after its other tensors.
using MakeRows = std::function<void(const Declared& tensor, std::int64_t first, std::int64_t rows, std::byte* out)>;

struct FolderWriterOptions {
  int threads = 1;
  bool read_back_from_disk = false;  ///< drop what the system has cached of a file before it is read back
  std::string source;                ///< what the content depends on: notes of another source do not count
  std::function<void(std::uint64_t bytes)> progress;  ///< bytes done so far; called by one thread at a time
};

class FolderWriter {
 public:
  FolderWriter(std::filesystem::path dir, FolderWriterOptions options);
  /// Makes those of the files that are not complete. Each is written as NAME.partial, synced, read back and compared
  /// tensor by tensor, and given its name. Throws Error naming file and tensor: status 1 when writing fails or what is
  /// read is not what was written; the error of `make` otherwise. Complete files stay.
  void write(const std::vector<FilePlan>& files, const MakeRows& make);
  /// The note of a file that is complete and made from this source by this plan; an empty name otherwise. `compare`:
  /// its content is read and hashed.
  FileNote note_of(const FilePlan& file, bool compare) const;
  std::size_t resumed() const { return resumed_; }  ///< files that were complete already

 private:
  void write_one(const FilePlan& file, const MakeRows& make);
  std::string key_of(const FilePlan& file) const;
  void advance(std::uint64_t bytes);

  std::filesystem::path dir_;
  FolderWriterOptions how_;
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  std::size_t resumed_ = 0;
};

std::filesystem::path note_path(const std::filesystem::path& dir, const std::string& file);

}  // namespace eddy::hf
