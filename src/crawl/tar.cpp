#include "crawl/tar.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace eddy::crawl {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kBlock = 512;

std::string header(const std::string& name, std::uint64_t bytes) {
  if (name.size() > 99) fail_run("{}: too long a name for a tar member", name);
  if (bytes >= (std::uint64_t{1} << 33)) fail_run("{}: {} bytes are too many for a tar member", name, bytes);
  std::string h(kBlock, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { h.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", bytes));
  put(136, "00000000000");  // no time: the same bytes whenever they were fetched
  put(148, "        ");
  h[156] = '0';
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return h;
}

void write_at(const io::Descriptor& file, std::string_view bytes, std::uint64_t at, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
}

}  // namespace

std::uint64_t tar_end(std::uint64_t offset, std::uint64_t bytes) {
  return offset + (bytes + kBlock - 1) / kBlock * kBlock;
}

std::map<std::string, TarPlace> tar_members(const fs::path& file) {
  const io::MappedFile mapped(file);
  const std::string_view all = mapped.text();
  std::map<std::string, TarPlace> members;
  for (std::uint64_t at = 0; at + kBlock <= all.size();) {
    const std::string_view h = all.substr(at, kBlock);
    if (h[0] == '\0') break;  // the end's blocks
    const std::string name(h.data(), strnlen(h.data(), 100));
    const std::string size(h.substr(124, 11));
    char* end = nullptr;
    const std::uint64_t bytes = std::strtoull(size.c_str(), &end, 8);
    if (h.substr(257, 5) != "ustar" || *end != 0 || at + kBlock + bytes > all.size())
      fail_input("{}: damaged at byte {}; restore the file, or crawl into another folder", file.string(), at);
    members[name] = {file.filename(), at + kBlock, bytes};
    at = tar_end(at + kBlock, bytes);
  }
  return members;
}

TarWriter::TarWriter(fs::path folder, std::string name, std::uint64_t segment_bytes)
    : folder_(std::move(folder)), name_(std::move(name)), segment_bytes_(segment_bytes) {
  while (fs::exists(folder_ / file_name(segment_))) {
    members_.merge(tar_members(folder_ / file_name(segment_)));
    ++segment_;
  }
  segment_ = std::max(0, segment_ - 1);
}

std::string TarWriter::file_name(int segment) const {
  return fmt::format("{}-{:04}.tar", name_, segment);
}

void TarWriter::open(int segment) {
  segment_ = segment;
  const fs::path path = folder_ / file_name(segment);
  const bool fresh = !fs::exists(path);
  file_ = io::Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  struct stat info {};
  if (file_.get() < 0 || fstat(file_.get(), &info) != 0)
    fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
  size_ = static_cast<std::uint64_t>(info.st_size);
  if (fresh) io::sync_folder(folder_);
}

TarPlace TarWriter::append(const std::string& member, std::string_view bytes) {
  if (const auto at = members_.find(member); at != members_.end()) return at->second;
  if (file_.get() < 0) open(segment_);
  if (size_ > 0 && size_ + kBlock + bytes.size() > segment_bytes_) open(segment_ + 1);
  const fs::path path = folder_ / file_name(segment_);
  const TarPlace place{file_name(segment_), size_ + kBlock, bytes.size()};
  const std::uint64_t end = tar_end(place.offset, place.bytes);
  write_at(file_, header(member, bytes.size()), size_, path);
  write_at(file_, bytes, place.offset, path);
  write_at(file_, std::string(end - place.offset - place.bytes, '\0'), place.offset + place.bytes, path);
  if (::fdatasync(file_.get()) != 0) fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
  size_ = end;
  members_[member] = place;
  return place;
}

}  // namespace eddy::crawl
