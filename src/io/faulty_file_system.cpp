#include "io/faulty_file_system.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"
#include "io/file.h"
#include "io/folder.h"

namespace eddy::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what, int number) {
  fail_run("cannot {}: {} (fault on purpose)", what, std::strerror(number));
}

/// `path`, or where it went when `from` became `to`.
fs::path moved(const fs::path& path, const fs::path& from, const fs::path& to) {
  if (!is_within(path, from)) return path;
  return path == from ? to : to / path.lexically_relative(from);
}

void put_back(const fs::path& path, const std::string& before, std::uint64_t offset) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() >= 0) (void)!::pwrite(file.get(), before.data(), before.size(), static_cast<off_t>(offset));
}

}  // namespace

class FaultyFileSystem::File final : public OutputFile {
 public:
  File(FaultyFileSystem& files, fs::path path, std::unique_ptr<OutputFile> real)
      : files_(files), path_(std::move(path)), real_(std::move(real)) {}
  void write_at(const void* data, std::size_t bytes, std::uint64_t offset) override {
    const Write w = files_.operate_write("write " + path_.string(), bytes);
    files_.will_write(path_, w.bytes, offset);
    if (w.flip) {
      std::string altered(static_cast<const char*>(data), w.bytes);
      altered[*w.flip] ^= 1 << (*w.flip % 8);
      real_->write_at(altered.data(), altered.size(), offset);
    } else if (w.bytes > 0) {
      real_->write_at(data, w.bytes, offset);
    }
    if (w.dies) files_.die();
    if (w.full) fail("write " + path_.string(), ENOSPC);
  }
  void reserve(std::uint64_t bytes) override {
    files_.operate("reserve space for " + path_.string(), bytes > 0 ? Needs::space : Needs::nothing);
    real_->reserve(bytes);
  }
  void sync() override {
    files_.operate("sync " + path_.string(), Needs::nothing);
    real_->sync();
    files_.synced(path_);
  }
  void close() override {
    files_.operate("close " + path_.string(), Needs::nothing);
    real_->close();
    std::error_code ignored;
    if (fs::exists(path_, ignored)) {  // a staged copy has lost its name already
      const std::lock_guard lock(files_.mutex_);
      files_.written_.push_back(path_);
    }
    files_.lose_file("after closing " + path_.string());
  }

 private:
  FaultyFileSystem& files_;
  fs::path path_;
  std::unique_ptr<OutputFile> real_;
};

void FaultyFileSystem::count(bool on) {
  const std::lock_guard lock(mutex_);
  counting_ = on;
}

void FaultyFileSystem::restart() {
  const std::lock_guard lock(mutex_);
  written_.clear();
  undo_.clear();
}

bool FaultyFileSystem::struck() const {
  const std::lock_guard lock(mutex_);
  return struck_;
}

std::vector<fs::path> FaultyFileSystem::written() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

void FaultyFileSystem::strike(const std::string& what) {
  if (std::exchange(struck_, true)) return;
  if (plan_.strike) plan_.strike(fmt::format("operation {}: {}", count_, what));
}

bool FaultyFileSystem::due(const std::string& what) {
  if (counting_) ++count_;
  if (over_ || (!struck_ && (!counting_ || count_ < plan_.operation))) return false;
  if (plan_.kind == FileFault::slow) strike(what);
  return true;
}

void FaultyFileSystem::operate(const std::string& what, Needs needs) {
  std::unique_lock lock(mutex_);
  if (!due(what)) return;
  switch (plan_.kind) {
    case FileFault::none:
      over_ = struck_ = true;
      {
        const std::string operation = fmt::format("operation {}: {}", count_, what);
        lock.unlock();  // what waits for ever here must not hold others
        if (plan_.strike) plan_.strike(operation);
      }
      return;
    case FileFault::io_error:
      over_ = true;
      strike(what);
      fail(what, EIO);
    case FileFault::disk_full:
      if (needs == Needs::nothing) return;
      if (!struck_) room_ = plan_.bytes;
      strike(what);
      if (room_ == 0) fail(what, ENOSPC);
      return;
    case FileFault::slow:
      lock.unlock();
      return wait();
    case FileFault::power_loss:
      strike(what);
      lose_power();
    case FileFault::lost_file:
      lock.unlock();
      return lose_file(what);
    case FileFault::torn_write:
    case FileFault::bit_flip:
      return;  // these wait for a write
  }
}

FaultyFileSystem::Write FaultyFileSystem::operate_write(const std::string& what, std::size_t bytes) {
  Write w{bytes, {}};
  if (plan_.kind != FileFault::disk_full && plan_.kind != FileFault::torn_write && plan_.kind != FileFault::bit_flip) {
    operate(what, Needs::space);
    return w;
  }
  const std::lock_guard lock(mutex_);
  if (!due(what) || bytes == 0) return w;
  if (plan_.kind == FileFault::disk_full) {
    if (!struck_) room_ = plan_.bytes;
    strike(what);
    w.bytes = std::min<std::uint64_t>(bytes, room_);
    w.full = w.bytes < bytes;
    room_ -= w.bytes;
    return w;
  }
  strike(what);
  over_ = true;
  if (plan_.kind == FileFault::torn_write) {
    w.bytes = std::min<std::uint64_t>(bytes - 1, plan_.bytes);
    w.dies = true;
  } else {
    w.flip = plan_.bytes % bytes;
  }
  return w;
}

void FaultyFileSystem::wait() const {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(plan_.delay_ms));
}

void FaultyFileSystem::lose_file(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (plan_.kind != FileFault::lost_file || over_ || !counting_ || count_ < plan_.operation || written_.empty()) return;
  over_ = true;
  const fs::path lost = written_[plan_.operation % written_.size()];
  strike(fmt::format("{}: {} is gone", what, lost.string()));
  std::error_code ignored;
  fs::remove(lost, ignored);
}

void FaultyFileSystem::die() {
  if (plan_.die) plan_.die();
  std::abort();
}

/// What was done last is undone first.
void FaultyFileSystem::lose_power() {
  for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) it->run();
  undo_.clear();
  over_ = true;
  die();
}

void FaultyFileSystem::will_write(const fs::path& path, std::size_t bytes, std::uint64_t offset) {
  if (plan_.kind != FileFault::power_loss || bytes == 0) return;
  std::string before(bytes, '\0');
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() >= 0) (void)!::pread(file.get(), before.data(), bytes, static_cast<off_t>(offset));
  const std::lock_guard lock(mutex_);
  undo_.push_back({path, {}, [path, before, offset] { put_back(path, before, offset); }});
}

void FaultyFileSystem::will_undo(const fs::path& name, std::function<void()> undo) {
  if (plan_.kind != FileFault::power_loss) return;
  const std::lock_guard lock(mutex_);
  undo_.push_back({{}, name, std::move(undo)});
}

void FaultyFileSystem::synced(const fs::path& file) {
  const std::lock_guard lock(mutex_);
  std::erase_if(undo_, [&](const Undo& u) { return u.file == file; });
}

void FaultyFileSystem::renamed(const fs::path& from, const fs::path& to) {
  const std::lock_guard lock(mutex_);
  for (fs::path& path : written_) path = moved(path, from, to);
}

std::unique_ptr<OutputFile> FaultyFileSystem::open(const fs::path& path, bool direct) {
  operate("open " + path.string(), Needs::nothing);
  std::error_code ignored;
  const bool is_new = !fs::exists(path, ignored);
  auto file = std::make_unique<File>(*this, path, under_.open(path, direct));
  if (is_new) will_undo(path, [path] { ::unlink(path.c_str()); });
  return file;
}

void FaultyFileSystem::make_folder(const fs::path& path) {
  operate("create the folder " + path.string(), Needs::space);
  std::error_code ignored;
  const bool is_new = !fs::exists(path, ignored);
  under_.make_folder(path);
  if (is_new)
    will_undo(path, [path] {
      std::error_code none;
      fs::remove_all(path, none);
    });
}

void FaultyFileSystem::rename(const fs::path& from, const fs::path& to) {
  operate(fmt::format("rename {} to {}", from.string(), to.filename().string()), Needs::nothing);
  under_.rename(from, to);
  renamed(from, to);
  will_undo(to, [from, to] { std::rename(to.c_str(), from.c_str()); });
}

bool FaultyFileSystem::exchange(const fs::path& a, const fs::path& b) {
  operate(fmt::format("exchange {} and {}", a.string(), b.filename().string()), Needs::nothing);
  if (!under_.exchange(a, b)) return false;
  renamed(a, b);
  will_undo(b, [this, a, b] { under_.exchange(a, b); });
  return true;
}

void FaultyFileSystem::remove(const fs::path& path) {
  operate("remove " + path.string(), Needs::nothing);
  under_.remove(path);
}

void FaultyFileSystem::sync_folder(const fs::path& path) {
  operate("sync the folder " + path.string(), Needs::nothing);
  under_.sync_folder(path);
  const std::lock_guard lock(mutex_);
  std::erase_if(undo_, [&](const Undo& u) { return !u.name.empty() && u.name.parent_path() == path; });
}

}  // namespace eddy::io
