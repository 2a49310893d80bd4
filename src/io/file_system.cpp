#include "io/file_system.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/file.h"

namespace eddy::io {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kPage = 4096;             // what O_DIRECT wants addresses, offsets and sizes to be multiples of
constexpr std::size_t kDirectFrom = 256 << 10;  // smaller writes are left to the page cache
constexpr std::size_t kBounce = std::size_t{4}
                                << 20;  // bytes copied at once where memory is not aligned as the file is

[[noreturn]] void fail_write(const fs::path& path) {
  fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
}

/// false: the file system refuses this way of writing (EINVAL); every other failure throws.
bool write_whole(int file, const char* from, std::size_t bytes, std::uint64_t offset, const fs::path& path,
                 bool may_refuse) {
  while (bytes > 0) {
    const ssize_t n =
        ::pwrite(file, from, std::min<std::size_t>(bytes, std::size_t{1} << 30), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL && may_refuse) return false;
    if (n < 0) fail_write(path);
    from += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::size_t>(n);
    may_refuse = may_refuse && n % static_cast<ssize_t>(kPage) != 0;  // a part that breaks a page is ended in the cache
  }
  return true;
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};
/// This thread's page-aligned memory.
char* bounce_buffer() {
  thread_local const std::unique_ptr<void, Free> memory(std::aligned_alloc(kPage, kBounce));
  if (!memory) fail_run("no memory for a buffer of {} bytes", kBounce);
  return static_cast<char*>(memory.get());
}

class DiskFile final : public OutputFile {
 public:
  DiskFile(fs::path path, bool direct) : path_(std::move(path)) {
    file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (file_.get() < 0) fail_write(path_);
    if (direct) direct_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));  // -1 where refused
  }

  void write_at(const void* data, std::size_t bytes, std::uint64_t offset) override {
    const char* from = static_cast<const char*>(data);
    if (direct_.get() >= 0 && bytes >= kDirectFrom) {
      // whole pages of the file go directly; its edges, which may belong to others' pages, through the cache
      const std::size_t head = (kPage - offset % kPage) % kPage, body = (bytes - head) / kPage * kPage;
      if (write_pages(from + head, body, offset + head)) {
        write_whole(file_.get(), from, head, offset, path_, false);
        write_whole(file_.get(), from + head + body, bytes - head - body, offset + head + body, path_, false);
        return;
      }
    }
    write_whole(file_.get(), from, bytes, offset, path_, false);
  }

  void reserve(std::uint64_t bytes) override {
    if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0) fail_write(path_);
    if (bytes == 0 || ::fallocate(file_.get(), 0, 0, static_cast<off_t>(bytes)) == 0 || errno == EOPNOTSUPP ||
        errno == ENOSYS)
      return;
    fail_run("cannot reserve {} bytes for {}: {}", bytes, path_.string(), std::strerror(errno));
  }

  void sync() override {
    if (::fsync(file_.get()) != 0) fail_write(path_);
  }
  void close() override {
    direct_.reset();
    if (file_.reset() != 0) fail_write(path_);
  }

 private:
  bool write_pages(const char* from, std::size_t bytes, std::uint64_t offset) {
    if (reinterpret_cast<std::uintptr_t>(from) % kPage == 0)
      return write_whole(direct_.get(), from, bytes, offset, path_, true);
    char* aligned = bounce_buffer();
    for (std::size_t done = 0; done < bytes;) {
      const std::size_t n = std::min(kBounce, bytes - done);
      std::memcpy(aligned, from + done, n);
      if (!write_whole(direct_.get(), aligned, n, offset + done, path_, true)) return false;
      done += n;
    }
    return true;
  }
  fs::path path_;
  Descriptor file_, direct_;
};

class Disk final : public FileSystem {
 public:
  std::unique_ptr<OutputFile> open(const fs::path& path, bool direct) override {
    return std::make_unique<DiskFile>(path, direct);
  }
  void make_folder(const fs::path& path) override {
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST)
      fail_run("cannot create the folder {}: {}", path.string(), std::strerror(errno));
  }
  void rename(const fs::path& from, const fs::path& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) fail_write(to);
  }
  bool exchange(const fs::path& a, const fs::path& b) override {
    return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
  }
  void remove(const fs::path& path) override {
    if (std::remove(path.c_str()) != 0 && errno != ENOENT)
      fail_run("cannot remove {}: {}", path.string(), std::strerror(errno));
  }
  void sync_folder(const fs::path& path) override { io::sync_folder(path); }
};

}  // namespace

std::int64_t FileSystem::type(const fs::path& path) const {
  struct statfs found {};
  return ::statfs(path.c_str(), &found) == 0 ? static_cast<std::int64_t>(found.f_type) : 0;
}

FileSystem& disk() {
  static Disk instance;
  return instance;
}

void write_synced(FileSystem& files, const fs::path& path, std::string_view bytes) {
  const auto file = files.open(path);
  file->reserve(0);
  if (!bytes.empty()) file->write_at(bytes.data(), bytes.size(), 0);
  file->sync();
  file->close();
}

void remove_all(FileSystem& files, const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(fs::symlink_status(path, error))) {
    std::vector<fs::path> within;
    for (const auto& entry : fs::directory_iterator(path, error)) within.push_back(entry.path());
    for (const fs::path& one : within) remove_all(files, one);
  }
  if (fs::exists(fs::symlink_status(path, error))) files.remove(path);
}

void rename_durably(FileSystem& files, const fs::path& from, const fs::path& to) {
  files.rename(from, to);
  files.sync_folder(to.parent_path());
}

}  // namespace eddy::io
