#include "io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace eddy::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail_read(const fs::path& path) {
  fail_input("cannot read {}: {}", path.string(), std::strerror(errno));
}
[[noreturn]] void fail_write(const fs::path& path) {
  fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
}

Descriptor open_to_read(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail_read(path);
  return file;
}

/// Size of a regular file (a folder opens for reading, but has no bytes).
std::size_t size_of(const Descriptor& file, const fs::path& path) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) fail_read(path);
  if (S_ISDIR(info.st_mode)) fail_input("cannot read {}: it is a folder", path.string());
  return static_cast<std::size_t>(info.st_size);
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& o) noexcept {
  if (this != &o) {
    reset();
    fd_ = std::exchange(o.fd_, -1);
  }
  return *this;
}

int Descriptor::reset() noexcept {
  const int fd = std::exchange(fd_, -1);
  return fd >= 0 ? ::close(fd) : 0;
}

std::string read_file(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  std::string bytes;
  bytes.reserve(size_of(file, path));
  char buffer[1 << 16];
  for (;;) {  // not by its size: a pipe, or a file of /proc, has none
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_read(path);
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
}

void write_file(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), partial_(path_.string() + ".partial") {
  file_ = Descriptor(::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_write(partial_);
}

AtomicFile::~AtomicFile() {
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(file_.get(), at, std::min<std::size_t>(bytes, std::size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write(path_);
    at += n;
    bytes -= static_cast<std::size_t>(n);
    size_ += static_cast<std::uint64_t>(n);
  }
}

void AtomicFile::commit() {
  if (fsync(file_.get()) != 0 || file_.reset() != 0) fail_write(path_);
  rename_durably(partial_, path_);
  partial_.clear();
}

void sync_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || fsync(file.get()) != 0) fail_write(path);
}

void sync_folder(const fs::path& folder) {
  const fs::path name = folder.empty() ? fs::path(".") : folder;
  const Descriptor dir(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some network file systems cannot sync a folder (EINVAL): there is nothing more to be done on them.
  if (dir.get() < 0 || (fsync(dir.get()) != 0 && errno != EINVAL)) fail_write(name);
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail_write(to);
  sync_folder(to.parent_path());
}

MappedFile::MappedFile(fs::path path) : path_(std::move(path)) {
  const Descriptor file = open_to_read(path_);
  size_ = size_of(file, path_);
  if (size_ == 0) return;  // mmap refuses an empty range
  void* at = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) fail_read(path_);
  data_ = static_cast<const std::byte*>(at);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& o) noexcept
    : path_(std::move(o.path_)), data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& o) noexcept {
  std::swap(path_, o.path_);
  std::swap(data_, o.data_);
  std::swap(size_, o.size_);
  return *this;
}

}  // namespace eddy::io
