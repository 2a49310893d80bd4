#include "crawl/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/secret.h"
#include "crawl/paper.h"

namespace eddy::crawl {
namespace fs = std::filesystem;
namespace {

void cut(const fs::path& file, std::uint64_t bytes) {
  if (::truncate(file.c_str(), static_cast<off_t>(bytes)) != 0)
    fail_run("cannot shorten {}: {}", file.string(), std::strerror(errno));
  io::sync_file(file);
}

std::vector<fs::path> files_of(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> files;
  for (const auto& e : fs::directory_iterator(folder))
    if (e.is_regular_file() && e.path().extension() == ending) files.push_back(e.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void make_store(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored) && !fs::is_empty(folder, ignored) &&
      !fs::is_directory(folder / "records", ignored))
    fail_input("--out {}: is a folder with other files and no store of eddy-crawl; choose another", folder.string());
  for (const char* name : {"records", "payloads", "state"}) {
    std::error_code error;
    fs::create_directories(folder / name, error);
    if (error)
      fail_input("--out {}: cannot make {} there ({}); choose another folder", folder.string(), name, error.message());
  }
}

std::string file_stem(const std::string& channel) {
  std::string stem = channel;
  bool plain = stem.size() <= 100;  // longer names some file systems do not take
  for (char& c : stem) {
    if (c == ':') {
      c = '_';
    } else if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-') {
      c = '-';
      plain = false;
    }
  }
  return plain ? stem : stem.substr(0, 80) + "_" + hex64(xxh3(channel));  // two channels never share a file
}

Memory::Memory(const fs::path& folder) {
  std::map<std::string, std::uint64_t> tar_ends;
  for (const fs::path& file : files_of(folder / "records", ".jsonl")) read_file(file, tar_ends);
  for (const fs::path& tar : files_of(folder / "payloads", ".tar")) {
    const std::uint64_t size = fs::file_size(tar), end = tar_ends["payloads/" + tar.filename().string()];
    if (size > end) {
      log::info("{}: {} bytes without a record are cut off", tar.string(), size - end);
      end == 0 ? (void)fs::remove(tar) : cut(tar, end);
    }
    if (size < end)
      fail_input("{}: {} bytes long where the records name {}; restore the file, or crawl into another folder",
                 tar.string(), size, end);
    tar_ends.erase("payloads/" + tar.filename().string());
  }
  for (const auto& [tar, end] : tar_ends)
    if (end > 0)
      fail_input("{} is missing, and records name it; restore the file, or crawl into another folder",
                 (folder / tar).string());
}

void Memory::read_file(const fs::path& file, std::map<std::string, std::uint64_t>& tar_ends) {
  std::uint64_t whole = 0;
  {
    const io::MappedFile mapped(file);
    const std::string_view all = mapped.text();
    for (std::size_t number = 1, end; (end = all.find('\n', whole)) != std::string_view::npos; ++number) {
      const std::string_view line = all.substr(whole, end - whole);
      const std::string where = fmt::format("{}, line {}", file.string(), number);
      const Record r = Record::parse(line, where);
      // Asked again after a failure: the good answer counts.
      Place& place = places_[r.key];
      if (place.bytes == 0 || r.ok || !place.ok)
        place = {static_cast<std::uint32_t>(files_.size()), whole, line.size(), r.ok};
      if (!r.payload.is_null()) {
        const Payload p = payload_of(r.payload);
        auto& tar_end_ = tar_ends[p.tar];
        tar_end_ = std::max(tar_end_, tar_end(p.offset, p.bytes));
      }
      whole = end + 1;
    }
    if (whole == all.size()) whole = all.size() + 1;  // nothing torn
    if (whole < all.size()) log::info("{}: a torn last line is dropped ({} bytes)", file.string(), all.size() - whole);
  }
  if (whole <= fs::file_size(file)) cut(file, whole);
  files_.push_back(file);
  open_.emplace_back(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (open_.back().get() < 0) fail_input("cannot read {}: {}", file.string(), std::strerror(errno));
}

std::optional<Record> Memory::find(const std::string& key, bool only_good) const {
  const auto at = places_.find(key);
  if (at == places_.end() || (only_good && !at->second.ok)) return std::nullopt;
  const Place& place = at->second;
  std::string line(place.bytes, '\0');
  std::size_t got = 0;
  while (got < line.size()) {
    const ssize_t n =
        ::pread(open_[place.file].get(), line.data() + got, line.size() - got, static_cast<off_t>(place.offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail_input("cannot read {}: {}", files_[place.file].string(), n < 0 ? std::strerror(errno) : "cut short");
    got += static_cast<std::size_t>(n);
  }
  return Record::parse(line, files_[place.file].string());
}

Writer::Writer(fs::path folder, int rank, std::uint64_t segment_bytes, std::vector<std::string> secrets)
    : folder_(std::move(folder)),
      path_(folder_ / "records" / fmt::format("rank-{:04}.jsonl", rank)),
      segment_bytes_(segment_bytes),
      secrets_(std::move(secrets)) {
  file_ = io::Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
  io::sync_folder(folder_ / "records");
}

std::string Writer::commit(const Record& record) {
  const std::string line = redact(record.line(), secrets_);
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fdatasync(file_.get()) != 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
  return line;
}

TarPlace Writer::store(const std::string& channel, const std::string& member, std::string_view bytes) {
  auto at = tars_.find(channel);
  if (at == tars_.end())
    at = tars_.emplace(channel, TarWriter(folder_ / "payloads", file_stem(channel), segment_bytes_)).first;
  return at->second.append(member, bytes);
}

}  // namespace eddy::crawl
