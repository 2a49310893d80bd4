#include "shard/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/hash.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

using Header = std::array<std::uint64_t, 2>;  // length, XXH3-64

void write_all(int file, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot write {}: {}", path.string(), std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

fs::path journal_path(const fs::path& folder, std::uint32_t number) {
  return folder / fmt::format("journal-{:05}", number);
}

std::uint32_t count_journals(const fs::path& folder) {
  std::uint32_t n = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view prefix = "journal-";
    std::uint32_t number = 0;
    if (!name.starts_with(prefix)) continue;
    const auto [end, wrong] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
    if (wrong == std::errc() && end == name.data() + name.size()) n = std::max(n, number + 1);
  }
  return n;
}

JournalWriter::JournalWriter(const fs::path& folder, std::uint32_t number, double seconds)
    : number_(number),
      spill_(folder, number),
      path_(journal_path(folder, number)),
      seconds_(seconds),
      committed_(std::chrono::steady_clock::now()) {
  file_ = io::Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void JournalWriter::add(const UnitResult& result) {
  const std::string payload = result.encode();
  const Header header{payload.size(), xxh3(payload)};
  buffer_.append(reinterpret_cast<const char*>(header.data()), sizeof header);
  buffer_ += payload;
  if (std::chrono::steady_clock::now() - committed_ >= std::chrono::duration<double>(seconds_)) commit();
  if (buffer_.size() > (std::size_t{4} << 20)) {  // bounded memory; the disk's sync waits for its time
    spill_.flush();
    write_all(file_.get(), buffer_, path_);
    buffer_.clear();
  }
}

void JournalWriter::commit() {
  spill_.sync();
  write_all(file_.get(), buffer_, path_);
  buffer_.clear();
  if (::fdatasync(file_.get()) != 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
  committed_ = std::chrono::steady_clock::now();
}

void JournalWriter::close() {
  commit();
  spill_.close();
  if (file_.reset() != 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void read_journal(const fs::path& folder, std::uint32_t number,
                  const std::function<void(const JournalPlace&, UnitResult&&)>& visit) {
  std::error_code error;
  const fs::path path = journal_path(folder, number);
  if (!fs::exists(path, error) || fs::file_size(path, error) == 0) return;
  const std::uintmax_t spilled = fs::file_size(spill_path(folder, number), error);
  const io::MappedFile file(path);
  std::string_view left = file.text();
  while (left.size() >= sizeof(Header)) {
    Header header;
    std::memcpy(header.data(), left.data(), sizeof header);
    left.remove_prefix(sizeof header);
    if (header[0] > left.size()) return;
    const std::string_view payload = left.substr(0, header[0]);
    if (xxh3(payload) != header[1]) return;
    UnitResult result = UnitResult::decode(payload);
    for (const DocumentRecord& r : result.records)
      if (error || r.offset + r.tokens * sizeof(std::uint32_t) > spilled) return;
    visit({result.unit, number, static_cast<std::uint64_t>(payload.data() - file.text().data()), payload.size()},
          std::move(result));
    left.remove_prefix(header[0]);
  }
}

UnitResult read_entry(const fs::path& folder, const JournalPlace& place) {
  const fs::path path = journal_path(folder, place.journal);
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string payload(place.bytes, '\0');
  if (file.get() < 0 || ::pread(file.get(), payload.data(), payload.size(), static_cast<off_t>(place.offset)) !=
                            static_cast<ssize_t>(payload.size()))
    fail_run("{}: cannot be read again: is --out on a file system that all ranks share?", path.string());
  return UnitResult::decode(payload);
}

}  // namespace eddy::shard
