#include "checkpoint/write.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "io/file.h"
#include "io/folder.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");
constexpr std::uint64_t kPart = 8 * kChunkBytes;  // what one thread hashes and writes at once

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using Pages = std::unique_ptr<char, Free>;
/// Page-aligned memory for so many bytes from any place in its first page on.
Pages pages(std::uint64_t bytes) {
  Pages memory(static_cast<char*>(std::aligned_alloc(4096, (bytes + 8191) / 4096 * 4096)));
  if (!memory) fail_run("no memory for a block of {} bytes", bytes);
  return memory;
}

/// Blocks on their way into one file: cut into parts, which threads hash and write.
class Writer {
 public:
  Writer(io::OutputFile& file, const Plan& plan, const std::vector<tensor::Slice>& owned, const SaveOptions& options,
         const StagedCopy* staged)
      : file_(file), plan_(plan), owned_(owned), options_(options), staged_(staged), chunks_(owned.size()) {
    for (std::size_t i = 0; i < owned.size(); ++i) chunks_[i].resize(chunks_of(owned[i].view.bytes()));
  }

  /// Blocks in memory at once, those still to be made one after the other.
  void run() {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < owned_.size(); ++i)
      if (staged_ || owned_[i].view.data) add_parts(i, owned_[i].view.data, parts);
    write(parts);
    if (staged_) return;
    for (std::size_t i = 0; i < owned_.size(); ++i) {
      const auto& view = owned_[i].view;
      if (view.data || view.bytes() == 0) continue;
      if (!options_.fill) fail_run("tensor '{}': a block without data", owned_[i].name);
      if (view.bytes() > made_bytes_) {
        made_ = pages(view.bytes());
        made_bytes_ = view.bytes();
      }
      char* at = made_.get() + plan_.places[i].offset % 4096;
      options_.fill(i, at);
      parts.clear();
      add_parts(i, at, parts);
      write(parts);
    }
  }

  /// The blocks' hashes into the file's table; returns what the manifest says of each.
  std::vector<std::uint64_t> write_hashes() {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      if (chunks_[i].empty()) continue;
      file_.write_at(chunks_[i].data(), chunks_[i].size() * 8,
                     plan_.file.checksums_offset + 8 * plan_.places[i].first_chunk);
      out.push_back(combine(chunks_[i].data(), chunks_[i].size()));
    }
    return out;
  }

 private:
  struct Part {
    std::size_t block;
    std::uint64_t first, bytes;  // within the block; first is a multiple of kPart
    const char* data;
  };
  void add_parts(std::size_t block, const void* data, std::vector<Part>& parts) const {
    const std::uint64_t bytes = owned_[block].view.bytes();
    for (std::uint64_t at = 0; at < bytes; at += kPart)
      parts.push_back({block, at, std::min(kPart, bytes - at), static_cast<const char*>(data) + at});
  }
  void write(const std::vector<Part>& parts) {
    parallel_for(options_.threads, parts.size(), [&](std::size_t p) {
      const Part& part = parts[p];
      const std::uint64_t at = plan_.places[part.block].offset + part.first;
      auto& hashes = chunks_[part.block];
      if (staged_) {
        thread_local const Pages memory = pages(kPart);
        thread_local PageBuffer for_reading;
        char* const data = memory.get() + at % 4096;
        staged_->read(part.block, part.first, part.bytes, data, for_reading);
        file_.write_at(data, part.bytes, at);
      } else {
        for (std::uint64_t done = 0; done < part.bytes; done += kChunkBytes)
          hashes[(part.first + done) / kChunkBytes] = xxh3(part.data + done, std::min(kChunkBytes, part.bytes - done));
        file_.write_at(part.data, part.bytes, at);
      }
      const std::lock_guard lock(mutex_);
      done_ += part.bytes;
      if (options_.progress) options_.progress(done_);
    });
    if (staged_)
      for (std::size_t i = 0; i < chunks_.size(); ++i) chunks_[i] = staged_->hashes(i);
  }

  io::OutputFile& file_;
  const Plan& plan_;
  const std::vector<tensor::Slice>& owned_;
  const SaveOptions& options_;
  const StagedCopy* staged_;
  std::vector<std::vector<std::uint64_t>> chunks_;  // hashes of the blocks' pieces
  Pages made_;
  std::uint64_t made_bytes_ = 0, done_ = 0;
  std::mutex mutex_;
};

}  // namespace

std::vector<std::uint64_t> write_blocks(io::FileSystem& files, const fs::path& folder, const Plan& plan,
                                        const std::vector<tensor::Slice>& owned, const SaveOptions& options,
                                        const StagedCopy* staged) {
  const auto file = files.open(folder / plan.file.name, options.direct);
  if (plan.leads) {
    file->reserve(plan.file.bytes);
    for (const auto& [at, bytes] : plan.records.parts) file->write_at(bytes.data(), bytes.size(), at);
  }
  Writer writer(*file, plan, owned, options, staged);
  writer.run();
  const auto hashes = writer.write_hashes();
  file->sync();
  file->close();
  return hashes;
}

void commit(io::FileSystem& files, const fs::path& unfinished, const fs::path& dir, Manifest& manifest,
            const std::vector<fs::path>& attachments) {
  manifest.attachments.clear();
  if (!attachments.empty()) {
    const fs::path folder = unfinished / kAttachmentFolder;
    files.make_folder(folder);
    for (const fs::path& source : attachments) {
      const std::string bytes = io::read_file(source);
      io::write_synced(files, folder / source.filename(), bytes);
      manifest.attachments.push_back({source.filename().string(), bytes.size(), hex64(xxh3(bytes))});
    }
    files.sync_folder(folder);
  }
  for (const DataFile& f : manifest.files) {  // what went meanwhile is missed before an older checkpoint goes
    std::error_code error;
    const auto size = fs::file_size(unfinished / f.name, error);
    if (error) fail_run("{}: is not there to be given its name: {}", (unfinished / f.name).string(), error.message());
    if (size != f.bytes)
      fail_run("{}: has {} bytes where {} were written", (unfinished / f.name).string(), size, f.bytes);
  }
  const auto hashes = file_hashes(manifest);
  for (std::size_t i = 0; i < hashes.size(); ++i) manifest.files[i].xxh3 = hashes[i];
  io::write_synced(files, unfinished / kManifestFile, to_text(manifest));
  files.sync_folder(unfinished);
  io::commit_folder(files, unfinished, dir);
}

}  // namespace eddy::checkpoint
