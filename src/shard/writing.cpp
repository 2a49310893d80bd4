#include "shard/writing.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "comm/work_queue.h"
#include "io/file.h"
#include "shard/format.h"
#include "shard/gather.h"
#include "shard/spill.h"
#include "shard/writer.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPlan = "plan";

/// The records of a shard, from the plan's file.
std::vector<DocumentRecord> read_plan(const fs::path& folder, const PlannedShard& shard) {
  const fs::path path = folder / kPlan;
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<DocumentRecord> records(shard.end - shard.begin);
  read_written(file, path, shard.begin * sizeof(DocumentRecord), std::as_writable_bytes(std::span(records)));
  return records;
}

/// Names of documents' sources: of papers of a store their own, of others the file's.
class Sources {
 public:
  explicit Sources(const WriteInputs& in) : in_(in) {}
  std::string of(const DocumentRecord& r) {
    const InputFile& file = in_.list.files[in_.units[r.unit].file];
    if (!file.store || r.paper == kNone) return file.name;
    if (!unit_ || unit_->unit != r.unit)
      unit_ =
          read_entry(in_.folder, *std::lower_bound(in_.places.begin(), in_.places.end(), r.unit,
                                                   [](const JournalPlace& p, std::uint32_t u) { return p.unit < u; }));
    return unit_->papers.at(r.paper).at("source");
  }

 private:
  const WriteInputs& in_;
  std::optional<UnitResult> unit_{};  // the last one whose papers were asked for
};

ShardEntry write_one(const WriteInputs& in, const PlannedShard& shard, SpillReader& spills, Sources& names) {
  const std::vector<DocumentRecord> records = read_plan(in.folder, shard);
  std::vector<ShardDocument> documents;
  documents.reserve(records.size());
  std::vector<std::string> sources;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> known;  // unit or file, paper → source
  for (const DocumentRecord& r : records) {
    const std::uint32_t file = in.units[r.unit].file;
    const auto [at, is_new] =
        known.try_emplace(in.list.files[file].store ? std::pair(r.unit, r.paper) : std::pair(file, kNone),
                          static_cast<std::uint32_t>(sources.size()));
    if (is_new) sources.push_back(names.of(r));
    documents.push_back({r.tokens, r.prompt, at->second, r.hash});
  }
  ShardEntry entry = write_shard(in.folder / in.sets[shard.set] / shard_file_name(shard.split, shard.index),
                                 {shard.split, shard.index, in.tokenizer.hash(), in.tokenizer.vocab_size()}, documents,
                                 sources, [&](std::size_t i) { return spills.tokens(records[i]); });
  entry.set = shard.set;
  return entry;
}

}  // namespace

void write_plan(const fs::path& folder, const std::vector<DocumentRecord>& records,
                const std::vector<std::uint32_t>& order) {
  constexpr std::size_t kPiece = std::size_t{1} << 14;  // records: 1 MiB
  io::AtomicFile file(folder / kPlan);
  std::vector<DocumentRecord> piece;
  for (std::size_t i = 0; i < order.size(); ++i) {
    piece.push_back(records[order[i]]);
    if (piece.size() < kPiece && i + 1 < order.size()) continue;
    file.write(piece.data(), piece.size() * sizeof(DocumentRecord));
    piece.clear();
  }
  file.commit();
}

std::vector<ShardEntry> write_shards(comm::Communicator& world, const WriteInputs& in) {
  std::vector<ShardEntry> entries;
  together(world, [&] {
    comm::WorkQueue queue(world, in.shards.size());
    try {
      SpillReader spills(in.folder);
      Sources names(in);
      log::Progress progress("write", in.shards.size(), "shards");
      while (const auto task = queue.next()) {
        entries.push_back(write_one(in, in.shards[*task], spills, names));
        progress.update(queue.dealt());
      }
      in.on_phase("wait");
    } catch (...) {
      queue.stop();
      throw;
    }
  });
  return entries;
}

}  // namespace eddy::shard
