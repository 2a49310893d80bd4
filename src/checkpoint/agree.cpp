#include "checkpoint/agree.h"

#include "base/error.h"
#include "base/plain_text.h"

namespace eddy::checkpoint {

void broadcast_bytes(comm::Communicator& world, std::string& bytes, int root) {
  auto size = static_cast<std::int64_t>(bytes.size());
  world.broadcast(&size, 1, Dtype::i64, root);
  bytes.resize(static_cast<std::size_t>(size));
  if (size) world.broadcast(bytes.data(), bytes.size(), Dtype::u8, root);
}

void agree(comm::Communicator& world, const std::function<void()>& step) {
  std::string message;
  std::int32_t failed = world.size(), status = static_cast<std::int32_t>(Exit::failed);
  try {
    step();
  } catch (const Error& e) {
    failed = world.rank();
    status = static_cast<std::int32_t>(e.status());
    message = e.what();
  } catch (const std::exception& e) {
    failed = world.rank();
    message = plain_text(e);
  }
  world.all_reduce(&failed, 1, Dtype::i32, comm::Reduce::min);
  if (failed == world.size()) return;
  world.broadcast(&status, 1, Dtype::i32, failed);
  broadcast_bytes(world, message, failed);
  throw Error(static_cast<Exit>(status), world.size() == 1 ? message : fmt::format("{} (rank {})", message, failed));
}

}  // namespace eddy::checkpoint
