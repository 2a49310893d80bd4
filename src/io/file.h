#pragma once
// Files that are whole or absent: written under a temporary name, synced, renamed; and files mapped for reading.
// Errors name the file and the system's reason: status 2 for input that cannot be read, 1 for output that cannot be
// written.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace eddy::io {

/// An owned file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
  Descriptor& operator=(Descriptor&& o) noexcept;
  int get() const { return fd_; }
  int reset() noexcept;  ///< closes now; close(2)'s answer

 private:
  int fd_ = -1;
};

/// A file's whole content.
std::string read_file(const std::filesystem::path& path);
/// Replaces a file by these bytes, durably and at once: readers see the old content or the new, also after a crash.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// A file under construction, `<path>.partial`; commit() gives it its name. Without commit it is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, std::size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  std::uint64_t size() const { return size_; }
  void commit();  ///< fsync, rename, fsync of the folder

 private:
  std::filesystem::path path_, partial_;
  Descriptor file_;
  std::uint64_t size_ = 0;
};

void sync_file(const std::filesystem::path& path);      ///< fsync: content on the disk
void sync_folder(const std::filesystem::path& folder);  ///< fsync: names on the disk
/// rename(2), then fsync of the folder that holds `to`.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

/// A file mapped read-only. The mapping outlives the file's name; a file cut short while mapped kills its readers
/// (SIGBUS).
class MappedFile {
 public:
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& o) noexcept;
  MappedFile& operator=(MappedFile&& o) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace eddy::io
