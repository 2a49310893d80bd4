#include "shard/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

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
  std::ifstream file(journal_path(folder, number), std::ios::binary);
  const std::uintmax_t bytes = fs::file_size(journal_path(folder, number), error);
  const std::uintmax_t spilled = error ? 0 : fs::file_size(spill_path(folder, number), error);
  if (error) return;
  std::string payload;
  for (std::uint64_t at = 0; at + sizeof(Header) <= bytes; at += payload.size()) {
    Header header;
    file.read(reinterpret_cast<char*>(header.data()), sizeof header);
    at += sizeof header;
    if (!file || header[0] > bytes - at) return;
    payload.resize(header[0]);
    file.read(payload.data(), static_cast<std::streamsize>(payload.size()));
    if (!file || xxh3(payload) != header[1]) return;
    UnitResult result = UnitResult::decode(payload);
    for (const DocumentRecord& r : result.records)
      if (r.offset + std::uint64_t{r.tokens} * sizeof(std::uint32_t) > spilled) return;
    visit({result.unit, number, at, payload.size()}, std::move(result));
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
