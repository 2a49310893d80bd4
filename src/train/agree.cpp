#include "train/agree.h"

#include <string>

#include "base/error.h"
#include "base/plain_text.h"

namespace eddy::train {

void on_rank_0(comm::Communicator& world, const std::function<void()>& work) {
  std::int64_t outcome[2] = {0, 0};  // exit status, bytes of the message
  std::string message;
  if (world.rank() == 0) {
    try {
      work();
    } catch (const Error& e) {
      outcome[0] = static_cast<std::int64_t>(e.status());
      message = e.what();
    } catch (const std::exception& e) {
      outcome[0] = static_cast<std::int64_t>(Exit::failed);
      message = plain_text(e);
    }
    outcome[1] = static_cast<std::int64_t>(message.size());
  }
  world.broadcast(outcome, 2, Dtype::i64, 0);
  if (outcome[0] == 0) return;
  message.resize(static_cast<std::size_t>(outcome[1]));
  world.broadcast(message.data(), message.size(), Dtype::u8, 0);
  throw Error(static_cast<Exit>(outcome[0]), message);
}

}  // namespace eddy::train
