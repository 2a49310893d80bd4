#include "shard/gather.h"

#include <exception>
#include <numeric>

#include "base/error.h"
#include "base/plain_text.h"

namespace eddy::shard {
namespace {
constexpr int kRecordsTag = 1, kCountTag = 2;
constexpr std::size_t kPiece = std::size_t{1} << 14;  ///< records sent at once: 1 MiB
}  // namespace

void together(comm::Communicator& world, const std::function<void()>& work) {
  std::int32_t status = 0;
  std::string message;
  try {
    work();
  } catch (const Error& e) {
    status = static_cast<std::int32_t>(e.status());
    message = e.what();
  } catch (const std::exception& e) {
    status = static_cast<std::int32_t>(Exit::failed);
    message = plain_text(e);
  }
  std::vector<std::int32_t> all(static_cast<std::size_t>(world.size()));
  world.all_gather(&status, all.data(), 1, Dtype::i32);
  for (int r = 0; r < world.size(); ++r) {
    if (all[static_cast<std::size_t>(r)] == 0) continue;
    const std::vector<std::string> messages = share(world, message);
    throw Error(static_cast<Exit>(all[static_cast<std::size_t>(r)]), messages[static_cast<std::size_t>(r)]);
  }
}

std::vector<std::string> share(comm::Communicator& world, const std::string& mine) {
  const auto n = static_cast<std::size_t>(world.size());
  const auto bytes = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> sizes(n);
  world.all_gather(&bytes, sizes.data(), 1, Dtype::i64);
  const std::vector<std::size_t> counts(sizes.begin(), sizes.end());
  std::string all(std::accumulate(counts.begin(), counts.end(), std::size_t{0}), '\0');
  world.all_gather_v(mine.data(), all.data(), counts, Dtype::u8);
  std::vector<std::string> out;
  std::size_t at = 0;
  for (std::size_t c : counts) {
    out.push_back(all.substr(at, c));
    at += c;
  }
  return out;
}

std::string tell(comm::Communicator& world, const std::string& of_rank_0) {
  auto bytes = static_cast<std::int64_t>(of_rank_0.size());
  world.broadcast(&bytes, 1, Dtype::i64, 0);
  std::string out = of_rank_0;
  out.resize(static_cast<std::size_t>(bytes));
  if (bytes > 0) world.broadcast(out.data(), out.size(), Dtype::u8, 0);
  return out;
}

std::vector<DocumentRecord> collect(comm::Communicator& world, std::uint64_t total, const EachRecord& each_mine) {
  // Whatever fails on either side, all pieces are sent and received: the others do not wait for ever.
  std::exception_ptr failed;
  std::vector<DocumentRecord> records;
  const auto trying = [&](const auto& work) {
    if (failed) return;
    try {
      work();
    } catch (...) {
      failed = std::current_exception();
    }
  };
  if (world.rank() != 0) {
    const auto send = [&] {
      const auto count = static_cast<std::int64_t>(records.size());
      world.isend(&count, 1, Dtype::i64, 0, kCountTag)->wait();
      if (count > 0)
        world.isend(records.data(), records.size() * sizeof(DocumentRecord), Dtype::u8, 0, kRecordsTag)->wait();
      records.clear();
    };
    trying([&] {
      each_mine([&](const DocumentRecord& r) {
        records.push_back(r);
        if (records.size() == kPiece) send();
      });
    });
    if (!records.empty()) send();
    send();  // none: the end
  } else {
    trying([&] {
      records.reserve(total);
      each_mine([&](const DocumentRecord& r) { records.push_back(r); });
    });
    std::vector<DocumentRecord> piece;
    for (int r = 1; r < world.size(); ++r)
      for (std::int64_t count = 0;;) {
        world.recv(&count, 1, Dtype::i64, r, kCountTag);
        if (count == 0) break;
        piece.resize(static_cast<std::size_t>(count));
        world.recv(piece.data(), piece.size() * sizeof(DocumentRecord), Dtype::u8, r, kRecordsTag);
        trying([&] { records.insert(records.end(), piece.begin(), piece.end()); });
      }
  }
  if (failed) std::rethrow_exception(failed);
  return records;
}

}  // namespace eddy::shard
