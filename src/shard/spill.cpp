#include "shard/spill.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace eddy::shard {
namespace fs = std::filesystem;

namespace {
constexpr std::size_t kBuffer = std::size_t{1} << 20;  ///< ids
}

fs::path spill_path(const fs::path& folder, std::uint32_t number) {
  return folder / fmt::format("spill-{:05}", number);
}

SpillWriter::SpillWriter(const fs::path& folder, std::uint32_t number) : path_(spill_path(folder, number)) {
  file_ = io::Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

std::uint64_t SpillWriter::append(std::span<const std::uint32_t> ids) {
  const std::uint64_t at = written_ + buffer_.size() * sizeof(std::uint32_t);
  buffer_.insert(buffer_.end(), ids.begin(), ids.end());
  if (buffer_.size() >= kBuffer) flush();
  return at;
}

void SpillWriter::flush() {
  const std::uint64_t begin = written_;
  const char* at = reinterpret_cast<const char*>(buffer_.data());
  for (std::size_t left = buffer_.size() * sizeof(std::uint32_t); left > 0;) {
    const ssize_t n = ::write(file_.get(), at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
    at += n;
    left -= static_cast<std::size_t>(n);
    written_ += static_cast<std::uint64_t>(n);
  }
  buffer_.clear();
  // Begins to bring them to the disk beside the work, so that sync() waits for the last ones only. Where a file system
  // cannot, it waits for all.
  (void)::sync_file_range(file_.get(), static_cast<off_t>(begin), static_cast<off_t>(written_ - begin),
                          SYNC_FILE_RANGE_WRITE);
}

void SpillWriter::sync() {
  flush();
  if (::fdatasync(file_.get()) != 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void SpillWriter::close() {
  flush();
  if (file_.reset() != 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void read_written(const io::Descriptor& file, const fs::path& path, std::uint64_t offset, std::span<std::byte> to) {
  for (std::size_t done = 0; done < to.size();) {
    const ssize_t n = ::pread(file.get(), to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail_run("{}: shorter than what was written to it: is --out on a file system that all ranks share?",
               path.string());
    done += static_cast<std::size_t>(n);
  }
}

std::span<const std::uint32_t> SpillReader::tokens(const DocumentRecord& r) {
  const fs::path path = spill_path(folder_, r.spill);
  auto found = files_.find(r.spill);
  if (found == files_.end())
    found = files_.emplace(r.spill, io::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))).first;
  ids_.resize(r.tokens);
  read_written(found->second, path, r.offset, std::as_writable_bytes(std::span(ids_)));
  return ids_;
}

}  // namespace eddy::shard
