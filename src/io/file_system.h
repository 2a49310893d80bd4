#pragma once
// What makes a save durable, behind one interface: every file made, written, synced, renamed and removed while a
// checkpoint comes or goes passes through here, so that a test can lose power, fill the disk or tear a write.
// Errors name the file and the system's reason (status 1).
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace eddy::io {

/// A file open for writing at any place; several threads (and processes) write to it at once, each to its own bytes.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write_at(const void* data, std::size_t bytes, std::uint64_t offset) = 0;
  /// Gives the file this size and takes the space on the disk, so that a full one shows before anything is written.
  virtual void reserve(std::uint64_t bytes) = 0;
  /// Content and size are on the disk when it returns.
  virtual void sync() = 0;
  /// Closes and reports what the system says to it; the destructor closes in silence.
  virtual void close() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Opens a file, made where it is missing and left as it is where not. `direct`: large writes pass the page cache by
  /// (O_DIRECT) where the file system can.
  virtual std::unique_ptr<OutputFile> open(const std::filesystem::path& path, bool direct = false) = 0;
  virtual void make_folder(const std::filesystem::path& path) = 0;  ///< fine where it is there
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// Exchanges two names in one step; false: this file system cannot.
  virtual bool exchange(const std::filesystem::path& a, const std::filesystem::path& b) = 0;
  virtual void remove(const std::filesystem::path& path) = 0;       ///< a file or an empty folder
  virtual void sync_folder(const std::filesystem::path& path) = 0;  ///< its names are on the disk when it returns
  /// What it is, as statfs(2) says it (f_type); 0: unknown.
  virtual std::int64_t type(const std::filesystem::path& path) const;
};

/// The machine's own.
FileSystem& disk();

/// A file of these bytes, synced (its name is not); what was in it goes.
void write_synced(FileSystem& files, const std::filesystem::path& path, std::string_view bytes);
/// A file, or a folder with all that is in it; fine where there is none.
void remove_all(FileSystem& files, const std::filesystem::path& path);
/// rename, and the folder that holds `to` is synced.
void rename_durably(FileSystem& files, const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace eddy::io
