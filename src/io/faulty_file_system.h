#pragma once
// A file system that goes wrong on purpose, once, at one operation: what disks, quotas and power do to a save.
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace eddy::io {

enum class FileFault {
  none,        ///< nothing of its own: for what `strike` does
  disk_full,   ///< from then on nothing is written, reserved or made (ENOSPC), after the last `bytes` bytes
  io_error,    ///< that operation fails (EIO)
  slow,        ///< it and all later ones take `delay_ms` more
  torn_write,  ///< of the next write the first `bytes` bytes are written, then the process dies
  bit_flip,    ///< of the next write one bit is written wrong, that of byte `bytes`
  lost_file,   ///< of the files written since restart(), one is gone
  power_loss,  ///< what was not synced is undone, then the process dies (removals stay: a disk may have kept them)
};

class FaultyFileSystem final : public FileSystem {
 public:
  struct Plan {
    FileFault kind = FileFault::none;
    std::uint64_t operation = 1;  ///< of those counted, from 1
    std::uint64_t bytes = 0;      ///< see FileFault; bit_flip takes it modulo the write's size
    double delay_ms = 0;
    /// Told what the operation is, just before the fault happens. May throw, which then is the operation's failure.
    std::function<void(const std::string& operation)> strike;
    std::function<void()> die;  ///< may throw; must not return
  };
  /// `under` does the work.
  FaultyFileSystem(FileSystem& under, Plan plan) : under_(under), plan_(std::move(plan)) {}

  /// Operations from now on are counted, or pass as if there were no fault.
  void count(bool on);
  /// Forgets which files were written, and what is not synced.
  void restart();
  bool struck() const;
  /// Files written and closed since restart(), by the names that they have now.
  std::vector<std::filesystem::path> written() const;

  std::unique_ptr<OutputFile> open(const std::filesystem::path& path, bool direct = false) override;
  void make_folder(const std::filesystem::path& path) override;
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  bool exchange(const std::filesystem::path& a, const std::filesystem::path& b) override;
  void remove(const std::filesystem::path& path) override;
  void sync_folder(const std::filesystem::path& path) override;
  std::int64_t type(const std::filesystem::path& path) const override { return under_.type(path); }

 private:
  class File;
  enum class Needs { nothing, space };
  /// Before an operation: counts it; throws or dies where the fault says so.
  void operate(const std::string& what, Needs needs);
  /// Before a write: how many of its bytes are to be written, and where one of their bits is to be wrong.
  struct Write {
    std::size_t bytes;
    std::optional<std::size_t> flip;
    bool dies = false, full = false;
  };
  Write operate_write(const std::string& what, std::size_t bytes);
  bool due(const std::string& what);  // counts; the fault is to happen now or has begun
  void strike(const std::string& what);
  void wait() const;
  void lose_file(const std::string& what);
  [[noreturn]] void die();
  [[noreturn]] void lose_power();
  // what a loss of power undoes: of one file's writes, and of names
  void will_write(const std::filesystem::path& path, std::size_t bytes, std::uint64_t offset);
  void will_undo(const std::filesystem::path& name, std::function<void()> undo);
  void synced(const std::filesystem::path& file);
  void renamed(const std::filesystem::path& from, const std::filesystem::path& to);

  struct Undo {
    std::filesystem::path file, name;  // one of the two: a write to a file, or a name made, changed or exchanged
    std::function<void()> run;
  };
  FileSystem& under_;
  Plan plan_;
  mutable std::mutex mutex_;
  bool counting_ = false, struck_ = false, over_ = false;
  std::uint64_t count_ = 0;
  std::uint64_t room_ = 0;  // bytes that a full disk still takes
  std::vector<std::filesystem::path> written_;
  std::vector<Undo> undo_;
};

}  // namespace eddy::io
