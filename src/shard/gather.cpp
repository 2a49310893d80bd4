#include "shard/gather.h"

#include <numeric>
#include <type_traits>

#include "base/error.h"
#include "base/plain_text.h"

namespace eddy::shard {
namespace {
static_assert(std::is_trivially_copyable_v<DocumentRecord>);
constexpr int kRecordsTag = 1;
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

std::vector<DocumentRecord> collect(comm::Communicator& world, const std::vector<DocumentRecord>& mine) {
  const auto count = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> counts(static_cast<std::size_t>(world.size()));
  world.all_gather(&count, counts.data(), 1, Dtype::i64);
  if (world.rank() != 0) {
    if (count > 0) world.isend(mine.data(), mine.size() * sizeof(DocumentRecord), Dtype::u8, 0, kRecordsTag)->wait();
    return {};
  }
  std::vector<DocumentRecord> all = mine;
  for (int r = 1; r < world.size(); ++r) {
    const auto n = static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]);
    if (n == 0) continue;
    all.resize(all.size() + n);
    world.recv(all.data() + all.size() - n, n * sizeof(DocumentRecord), Dtype::u8, r, kRecordsTag);
  }
  return all;
}

std::vector<std::vector<DocumentRecord>> hand_out(comm::Communicator& world, const std::vector<PlannedShard>& plan,
                                                  const std::vector<DocumentRecord>& records) {
  std::vector<std::vector<DocumentRecord>> mine;
  std::vector<std::unique_ptr<comm::Request>> sends;
  for (std::size_t s = 0; s < plan.size(); ++s) {
    const int writer = static_cast<int>(s % static_cast<std::size_t>(world.size()));
    const std::size_t n = plan[s].end - plan[s].begin;
    if (world.rank() == 0 && writer == 0) {
      const auto begin = records.begin() + static_cast<std::ptrdiff_t>(plan[s].begin);
      mine.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(n));
    } else if (world.rank() == 0) {
      sends.push_back(
          world.isend(records.data() + plan[s].begin, n * sizeof(DocumentRecord), Dtype::u8, writer, kRecordsTag));
    } else if (world.rank() == writer) {
      mine.emplace_back(n);
      world.recv(mine.back().data(), n * sizeof(DocumentRecord), Dtype::u8, 0, kRecordsTag);
    }
  }
  for (auto& send : sends) send->wait();
  return mine;
}

}  // namespace eddy::shard
