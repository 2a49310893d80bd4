#include "shard/reading.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "comm/work_queue.h"
#include "shard/duplicates.h"
#include "shard/gather.h"
#include "shard/process.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

/// Calls `visit` for this rank's share of the journals: every size-th.
void read_share(comm::Communicator& world, const fs::path& folder,
                const std::function<void(const JournalPlace&, UnitResult&&)>& visit) {
  const std::uint32_t journals = count_journals(folder);
  for (auto j = static_cast<std::uint32_t>(world.rank()); j < journals; j += static_cast<std::uint32_t>(world.size()))
    read_journal(folder, j, visit);
}

std::uint64_t sum(comm::Communicator& world, std::uint64_t mine) {
  auto n = static_cast<std::int64_t>(mine);
  world.all_reduce(&n, 1, Dtype::i64, comm::Reduce::sum);
  return static_cast<std::uint64_t>(n);
}

}  // namespace

std::uint64_t read_units(comm::Communicator& world, const fs::path& folder, const BuildOptions& o,
                         const InputList& list, const std::vector<Unit>& units, tokenize::Tokenizer& tokenizer) {
  std::vector<std::uint32_t> mine, todo;
  std::uint64_t documents = 0;  // this rank's
  together(world, [&] {
    read_share(world, folder, [&](const JournalPlace& place, UnitResult&& unit) {
      mine.push_back(place.unit);
      documents += unit.records.size();
    });
  });
  std::vector<bool> done(units.size(), false);
  for (const std::string& bytes : share(world, as_bytes(mine)))
    for (const std::uint32_t u : from_bytes<std::uint32_t>(bytes)) done.at(u) = true;
  std::uint64_t total = 0;
  for (std::uint32_t u = 0; u < units.size(); ++u)
    if (!done[u]) {
      todo.push_back(u);
      total += cost_of(units[u], list.files);
    }
  if (todo.size() < units.size())
    log::info("goes on from an interrupted build: {} of {} units are done", units.size() - todo.size(), units.size());
  // Small enough for an even end, large enough that asking costs nothing.
  const std::uint64_t least = std::clamp<std::uint64_t>(total / (64 * static_cast<std::uint64_t>(world.size())),
                                                        std::uint64_t{1} << 16, std::uint64_t{8} << 20);
  const std::vector<Batch> batches = make_batches(todo, units, list.files, least);
  std::vector<std::uint64_t> cost{0};  // [batches + 1]: of those before
  for (const Batch& b : batches) cost.push_back(cost.back() + b.cost);

  std::uint32_t number = count_journals(folder) + static_cast<std::uint32_t>(world.rank());
  world.barrier();  // nobody makes a journal before all have counted
  bool stopped = false;
  together(world, [&] {
    comm::WorkQueue queue(world, batches.size());
    try {
      JournalWriter journal(folder, number, o.commit_seconds);
      Processor processor(o, list, units, tokenizer, journal);
      log::Progress progress("read", total, "bytes");
      const auto stop = [&] { return o.stop && *o.stop; };
      while (const auto task = queue.next()) {
        for (const std::uint32_t u : batches[*task].units) {
          if (stop()) break;
          try {
            const UnitResult result = processor.process(u);
            documents += result.records.size();
            journal.add(result);
          } catch (const Error& e) {  // in the middle of a unit, which is left to the next run
            if (e.status() != Exit::stopped) throw;
            break;
          }
        }
        if (stop()) {
          stopped = true;
          queue.stop();
          break;
        }
        progress.update(cost[queue.dealt()], fmt::format("{} documents on rank 0", processor.documents()));
      }
      journal.close();
      o.on_phase("wait");
    } catch (...) {
      queue.stop();  // the others end after what they are at, instead of working on for nothing
      throw;
    }
  });
  if (sum(world, stopped) > 0)
    throw Error(Exit::stopped,
                fmt::format("stopped as asked, with what was done kept in {}: the same command goes on from there",
                            folder.parent_path().string()));
  return sum(world, documents);
}

ReadDocuments gather_documents(comm::Communicator& world, const fs::path& folder, std::size_t units,
                               std::uint64_t documents) {
  ReadDocuments read;
  std::vector<JournalPlace> places;
  std::uint64_t keys = 0;
  Tally tally;
  together(world, [&] {
    read.records = collect(world, documents, [&](const auto& emit) {
      read_share(world, folder, [&](const JournalPlace& place, UnitResult&& unit) {
        places.push_back(place);
        for (const DocumentRecord& r : unit.records) emit(r);
        keys += unit.keys.size();
        tally.add(unit.tally);
      });
    });
  });
  for (const std::string& bytes : share(world, as_bytes(places)))
    for (const JournalPlace& p : from_bytes<JournalPlace>(bytes)) read.places.push_back(p);
  std::sort(read.places.begin(), read.places.end(),
            [](const JournalPlace& a, const JournalPlace& b) { return a.unit < b.unit; });
  for (const std::string& t : share(world, tally.to_json().dump(-1, ' ', false, json::error_handler_t::replace)))
    read.tally.add(Tally::from_json(json::parse(t)));
  read.keys = sum(world, keys);
  std::sort(read.records.begin(), read.records.end(), [](const DocumentRecord& a, const DocumentRecord& b) {
    return std::tie(a.unit, a.number) < std::tie(b.unit, b.number);
  });
  std::vector<std::uint64_t> first(units, 0);
  if (world.rank() == 0) {
    for (const DocumentRecord& r : read.records)
      if (r.unit + 1 < units) ++first[r.unit + 1];
    for (std::size_t u = 1; u < units; ++u) first[u] += first[u - 1];
  }
  read.first = from_bytes<std::uint64_t>(tell(world, as_bytes(first)));
  return read;
}

std::vector<std::uint32_t> find_duplicates(comm::Communicator& world, const fs::path& folder, const BuildOptions& o,
                                           ReadDocuments& read) {
  std::optional<Components> components;
  if (world.rank() == 0) components.emplace(read.records.size());
  const auto each_key = [&](const std::function<void(KeyedDocument)>& emit) {
    read_share(world, folder, [&](const JournalPlace& place, UnitResult&& unit) {
      std::size_t at = 0;
      for (std::size_t i = 0; i < unit.records.size(); ++i)
        for (std::uint32_t k = 0; k < unit.key_counts[i]; ++k) emit({unit.keys[at++], read.first[place.unit] + i});
    });
  };
  find_copies(world, read.keys, o.keys_at_once, each_key, [&](CopyEdge e) { components->join(e.first, e.second); });
  if (world.rank() != 0) return {};
  return mark_copies(read.records, *components, o.dedup.mode == "off");
}

}  // namespace eddy::shard
