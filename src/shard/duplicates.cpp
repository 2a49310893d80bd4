#include "shard/duplicates.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/error.h"

namespace eddy::shard {
namespace {

constexpr std::size_t kRound = std::size_t{1} << 16;  ///< keys that a rank gathers before an exchange
constexpr int kEdgesTag = 41;

/// Sends keys to the ranks they belong to, a round at a time; every rank takes part in every round.
class Exchange {
 public:
  /// `expected`: how many keys this rank will about receive.
  Exchange(comm::Communicator& world, std::uint64_t expected)
      : world_(world), outgoing_(static_cast<std::size_t>(world.size())), received_() {
    received_.reserve(expected + expected / 8 + 1024);  // growing would hold old and new at once
  }

  void add(KeyedDocument k) {
    outgoing_[static_cast<std::size_t>(k.key % outgoing_.size())].push_back(k);
    if (++waiting_ == kRound) round(true);
  }
  /// Sends what is left, and receives until no rank has anything left.
  std::vector<KeyedDocument> finish() {
    while (round(false)) {
    }
    return std::move(received_);
  }

 private:
  /// True when some rank will add more.
  bool round(bool more) {
    const std::size_t n = outgoing_.size();
    std::vector<std::int64_t> mine(n + 1, 0), all((n + 1) * n);
    for (std::size_t r = 0; r < n; ++r) mine[r] = static_cast<std::int64_t>(outgoing_[r].size());
    mine[n] = more;
    world_.all_gather(mine.data(), all.data(), n + 1, Dtype::i64);
    std::vector<std::size_t> send(n), receive(n);
    bool any = false;
    std::size_t incoming = 0;
    for (std::size_t r = 0; r < n; ++r) {
      send[r] = outgoing_[r].size() * sizeof(KeyedDocument);
      receive[r] =
          static_cast<std::size_t>(all[r * (n + 1) + static_cast<std::size_t>(world_.rank())]) * sizeof(KeyedDocument);
      incoming += receive[r] / sizeof(KeyedDocument);
      any = any || all[r * (n + 1) + n] != 0;
    }
    std::vector<KeyedDocument> buffer;
    buffer.reserve(waiting_);
    for (auto& out : outgoing_) {
      buffer.insert(buffer.end(), out.begin(), out.end());
      out.clear();
    }
    waiting_ = 0;
    const std::size_t before = received_.size();
    received_.resize(before + incoming);
    world_.all_to_all_v(buffer.data(), send, received_.data() + before, receive, Dtype::u8);
    return any;
  }

  comm::Communicator& world_;
  std::vector<std::vector<KeyedDocument>> outgoing_;  // [ranks]
  std::vector<KeyedDocument> received_;
  std::size_t waiting_ = 0;
};

/// Every rank's edges, one rank after the other, to rank 0.
void send_edges(comm::Communicator& world, const std::vector<CopyEdge>& mine,
                const std::function<void(CopyEdge)>& edge) {
  const auto count = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> counts(static_cast<std::size_t>(world.size()));
  world.all_gather(&count, counts.data(), 1, Dtype::i64);
  if (world.rank() != 0) {
    for (std::size_t at = 0; at < mine.size(); at += kRound)
      world.isend(mine.data() + at, std::min(kRound, mine.size() - at) * sizeof(CopyEdge), Dtype::u8, 0, kEdgesTag)
          ->wait();
    return;
  }
  for (const CopyEdge& e : mine) edge(e);
  std::vector<CopyEdge> block;
  for (int r = 1; r < world.size(); ++r)
    for (auto left = static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]); left > 0; left -= block.size()) {
      block.resize(std::min(kRound, left));
      world.recv(block.data(), block.size() * sizeof(CopyEdge), Dtype::u8, r, kEdgesTag);
      for (const CopyEdge& e : block) edge(e);
    }
}

}  // namespace

void find_copies(comm::Communicator& world, std::uint64_t keys, std::uint64_t at_once,
                 const std::function<void(const std::function<void(KeyedDocument)>&)>& each_key,
                 const std::function<void(CopyEdge)>& edge) {
  const std::uint64_t per_pass = std::max<std::uint64_t>(1, at_once) * static_cast<std::uint64_t>(world.size());
  const std::uint64_t passes = keys / per_pass + 1;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    Exchange exchange(world, keys / passes / static_cast<std::uint64_t>(world.size()));
    each_key([&](KeyedDocument k) {
      if ((k.key >> 32) % passes == pass) exchange.add(k);
    });
    std::vector<KeyedDocument> met = exchange.finish();
    std::sort(met.begin(), met.end(), [](const KeyedDocument& a, const KeyedDocument& b) {
      return std::tie(a.key, a.document) < std::tie(b.key, b.document);
    });
    std::vector<CopyEdge> edges;
    for (std::size_t i = 1, first = 0; i < met.size(); ++i) {
      if (met[i].key != met[first].key)
        first = i;
      else if (met[i].document != met[i - 1].document)
        edges.push_back({met[first].document, met[i].document});
    }
    std::vector<KeyedDocument>().swap(met);
    std::sort(edges.begin(), edges.end(), [](const CopyEdge& a, const CopyEdge& b) {
      return std::tie(a.first, a.second) < std::tie(b.first, b.second);
    });
    edges.erase(
        std::unique(edges.begin(), edges.end(),
                    [](const CopyEdge& a, const CopyEdge& b) { return a.first == b.first && a.second == b.second; }),
        edges.end());  // near-duplicates meet in several bands
    send_edges(world, edges, edge);
  }
}

Components::Components(std::uint64_t n) {
  if (n >= kNone) fail_input("{} documents are more than the 4 billion that one build may have", n);
  parent_.resize(n);
  std::iota(parent_.begin(), parent_.end(), 0u);
}

std::uint64_t Components::of(std::uint64_t i) {
  while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
  return i;
}

void Components::join(std::uint64_t a, std::uint64_t b) {
  a = of(a);
  b = of(b);
  parent_[std::max(a, b)] = static_cast<std::uint32_t>(std::min(a, b));
}

std::vector<std::uint32_t> mark_copies(std::vector<DocumentRecord>& records, Components& components, bool keep_all) {
  const auto n = static_cast<std::uint32_t>(records.size());
  std::vector<std::uint32_t> kept(n), best(n, kNone);
  std::iota(kept.begin(), kept.end(), 0u);
  const auto order = [&](std::uint32_t i) {
    const DocumentRecord& r = records[i];
    return std::tuple(r.origin, ~r.tokens, r.key(), r.hash, r.unit, r.number);
  };
  const auto owner = [&](std::uint32_t i) { return i - records[i].number + records[i].owner; };
  const auto choose = [&](bool pairs) {
    const auto mine = [&](std::uint32_t i) {
      return (records[i].owner != kNone) == pairs && records[i].dropped == Dropped::no;
    };
    for (std::uint32_t i = 0; i < n; ++i) {
      if (!mine(i)) continue;
      std::uint32_t& b = best[components.of(i)];
      if (b == kNone || (order(i) < order(b) && (records[b].owner != kNone) == pairs)) b = i;
    }
    if (keep_all && !pairs) return;
    for (std::uint32_t i = 0; i < n; ++i) {
      if (!mine(i)) continue;
      const std::uint32_t b = best[components.of(i)];
      if (b == i) continue;
      kept[i] = b;
      records[i].dropped = records[i].hash == records[b].hash ? Dropped::exact_duplicate
                           : records[i].split_key != 0 && records[i].split_key == records[b].split_key
                               ? Dropped::same_paper
                               : Dropped::near_duplicate;
    }
  };
  std::vector<std::uint64_t> least(n, ~std::uint64_t{0});  // key of each component of texts
  for (std::uint32_t i = 0; i < n; ++i)
    if (records[i].owner == kNone) {
      std::uint64_t& l = least[components.of(i)];
      l = std::min(l, records[i].key());
    }
  choose(false);
  for (std::uint32_t i = 0; i < n; ++i) {
    DocumentRecord& r = records[i];
    if (r.owner == kNone) continue;
    if (records[owner(i)].dropped != Dropped::no) {
      r.dropped = records[owner(i)].dropped;
      kept[i] = kept[owner(i)];
    }
  }
  choose(true);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t text = records[i].owner == kNone ? i : owner(i);
    const std::uint64_t key = least[components.of(text)];
    if (records[i].key() != key) records[i].split_key = key;
  }
  return kept;
}

}  // namespace eddy::shard
