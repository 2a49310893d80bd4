#include "hf/folder_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "hf/fp8.h"
#include "hf/safetensors.h"
#include "io/file.h"

namespace eddy::hf {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kPiece = 16 << 20;  ///< bytes made, written or read at a time

/// Rows of a tensor, and bytes of one.
struct Rows {
  std::int64_t count;
  std::uint64_t bytes;
  std::int64_t a_piece;  ///< a multiple of 128 where it is not all of them
};
Rows rows_of(const Declared& t) {
  const std::int64_t rows = t.shape.empty() ? 1 : t.shape[0];
  const std::uint64_t row = rows ? bytes_of(t) / static_cast<std::uint64_t>(rows) : 0;
  const std::uint64_t block = kFp8Block * std::max<std::uint64_t>(1, row);
  return {rows, row, static_cast<std::int64_t>(std::max<std::uint64_t>(1, kPiece / block)) * kFp8Block};
}

class OutputFile {
 public:
  explicit OutputFile(fs::path path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (file_.get() < 0) fail();
  }
  void write(const void* data, std::uint64_t bytes, std::uint64_t offset) {
    const char* at = static_cast<const char*>(data);
    const std::uint64_t begin = offset, all = bytes;
    while (bytes > 0) {
      const ssize_t n = ::pwrite(file_.get(), at, bytes, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      at += n;
      offset += static_cast<std::uint64_t>(n);
      bytes -= static_cast<std::uint64_t>(n);
    }
    // The disk begins now, so that the sync at the end finds little left. An error shows there.
    if (all >= kPiece / 4)
      ::sync_file_range(file_.get(), static_cast<off_t>(begin), static_cast<off_t>(all), SYNC_FILE_RANGE_WRITE);
  }
  void sync() {
    if (::fsync(file_.get()) != 0) fail();
  }
  void forget_cached() { ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED); }
  void read(void* out, std::uint64_t bytes, std::uint64_t offset) const {
    char* at = static_cast<char*>(out);
    while (bytes > 0) {
      const ssize_t n = ::pread(file_.get(), at, bytes, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail_run("cannot read back {}: {}", path_.string(), n == 0 ? "it ends early" : std::strerror(errno));
      at += n;
      offset += static_cast<std::uint64_t>(n);
      bytes -= static_cast<std::uint64_t>(n);
    }
  }
  void close() {
    if (file_.reset() != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { fail_run("cannot write {}: {}", path_.string(), std::strerror(errno)); }
  fs::path path_;
  io::Descriptor file_;
};

std::string hash_file(const fs::path& path) {
  io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Xxh3Stream hash;
  std::vector<char> buffer(kPiece);
  for (;;) {
    const ssize_t n = file.get() < 0 ? -1 : ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) return hex64(hash.digest());
    hash.update(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

fs::path note_path(const fs::path& dir, const std::string& file) {
  return dir / (file + ".done");
}

FolderWriter::FolderWriter(fs::path dir, FolderWriterOptions options)
    : dir_(std::move(dir)), how_(std::move(options)) {}

std::string FolderWriter::key_of(const FilePlan& file) const {
  return hex64(xxh3(how_.source + '\n' + safetensors_header(file.tensors)));
}

void FolderWriter::advance(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  done_ += bytes;
  if (how_.progress) how_.progress(done_);
}

FileNote FolderWriter::note_of(const FilePlan& file, bool compare) const {
  std::error_code none;
  const fs::path note = note_path(dir_, file.name), path = dir_ / file.name;
  if (!fs::exists(note, none) || !fs::exists(path, none)) return {};
  const auto json = nlohmann::json::parse(io::read_file(note), nullptr, false);
  if (!json.is_object() || !json.contains("plan") || json["plan"] != key_of(file)) return {};
  if (!json.contains("bytes") || !json["bytes"].is_number_unsigned() || !json.contains("xxh3") ||
      !json["xxh3"].is_string())
    return {};
  const FileNote found{file.name, json["bytes"].get<std::uint64_t>(), json["xxh3"].get<std::string>()};
  if (fs::file_size(path, none) != found.bytes) return {};
  if (compare && hash_file(path) != found.xxh3) return {};
  return found;
}

void FolderWriter::write(const std::vector<FilePlan>& files, const MakeRows& make) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < files.size() && !stop; i = next++) {
        if (!note_of(files[i], true).name.empty()) {
          std::uint64_t bytes = 0;
          for (const Declared& t : files[i].tensors) bytes += bytes_of(t);
          const std::lock_guard lock(mutex_);
          done_ += bytes;
          ++resumed_;
          continue;
        }
        write_one(files[i], make);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
  };
  std::vector<std::jthread> helpers;
  const std::size_t threads = std::min<std::size_t>(files.size(), static_cast<std::size_t>(std::max(1, how_.threads)));
  for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

void FolderWriter::write_one(const FilePlan& plan, const MakeRows& make) {
  const fs::path name = dir_ / plan.name, partial = name.string() + ".partial";
  const std::string header = safetensors_header(plan.tensors);
  std::vector<std::uint64_t> begin, hashes(plan.tensors.size());
  std::uint64_t end = header.size();
  for (const Declared& t : plan.tensors) {
    begin.push_back(end);
    end += bytes_of(t);
  }
  std::vector<std::size_t> order(plan.tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(),
                        [&](std::size_t i) { return weight_of_scale(plan.tensors[i].name).empty(); });

  OutputFile file(partial);
  file.write(header.data(), header.size(), 0);
  std::vector<std::byte> buffer;
  for (const std::size_t i : order) {
    const Declared& t = plan.tensors[i];
    const Rows rows = rows_of(t);
    Xxh3Stream hash;
    for (std::int64_t r = 0; r < rows.count && rows.bytes > 0; r += rows.a_piece) {
      const std::int64_t n = std::min(rows.a_piece, rows.count - r);
      const std::uint64_t bytes = static_cast<std::uint64_t>(n) * rows.bytes;
      buffer.resize(std::max<std::size_t>(buffer.size(), bytes));
      make(t, r, n, buffer.data());
      file.write(buffer.data(), bytes, begin[i] + static_cast<std::uint64_t>(r) * rows.bytes);
      hash.update(buffer.data(), bytes);
      advance(bytes);
    }
    hashes[i] = hash.digest();
  }
  file.sync();

  if (how_.read_back_from_disk) file.forget_cached();
  Xxh3Stream whole;
  std::string found(header.size(), '\0');
  file.read(found.data(), found.size(), 0);
  if (found != header)
    fail_run("{}: its header is not read back as it was written: the storage is at fault", name.string());
  whole.update(found.data(), found.size());
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    Xxh3Stream hash;
    const std::uint64_t all = bytes_of(plan.tensors[i]);
    for (std::uint64_t at = 0; at < all; at += kPiece) {
      const std::uint64_t n = std::min(kPiece, all - at);
      buffer.resize(std::max<std::size_t>(buffer.size(), n));
      file.read(buffer.data(), n, begin[i] + at);
      hash.update(buffer.data(), n);
      whole.update(buffer.data(), n);
    }
    if (hash.digest() != hashes[i])
      fail_run("{}: tensor '{}' is not read back as it was written: the storage is at fault", name.string(),
               plan.tensors[i].name);
  }
  file.close();
  io::rename_durably(partial, name);
  const nlohmann::json note = {{"plan", key_of(plan)}, {"bytes", end}, {"xxh3", hex64(whole.digest())}};
  io::write_file(note_path(dir_, plan.name), note.dump() + "\n");
}

}  // namespace eddy::hf
