#include "comm/self_communicator.h"

#include <cstring>

#include "base/error.h"

namespace eddy::comm {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(const std::string& name) : Communicator(0, 1, name) {}
  void barrier() override {}
  void broadcast(void*, std::size_t, Dtype, int) override {}
  void all_reduce(void*, std::size_t, Dtype, Reduce) override {}
  void all_gather(const void* in, void* out, std::size_t count, Dtype dtype) override { copy(in, out, count, dtype); }
  void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override {
    copy(in, out, only(counts, "all_gather_v"), dtype);
  }
  void reduce_scatter(const void* in, void* out, std::size_t count, Dtype dtype) override {
    copy(in, out, count, dtype);
  }
  void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override {
    copy(in, out, only(counts, "reduce_scatter_v"), dtype);
  }
  void all_to_all(const void* in, void* out, std::size_t count, Dtype dtype) override { copy(in, out, count, dtype); }
  void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                    std::span<const std::size_t> recv_counts, Dtype dtype) override {
    const std::size_t count = only(send_counts, "all_to_all_v");
    if (only(recv_counts, "all_to_all_v") != count)
      fail_run("all_to_all_v on {}: {} elements sent to itself but {} expected", name_, count, recv_counts[0]);
    copy(in, out, count, dtype);
  }
  std::unique_ptr<Request> isend(const void*, std::size_t, Dtype, int peer, int) override { no_peer("isend", peer); }
  void recv(void*, std::size_t, Dtype, int peer, int) override { no_peer("recv", peer); }
  std::unique_ptr<Communicator> split(const std::vector<int>& members, const std::string& name) override {
    if (members != std::vector<int>{0}) fail_run("split of {} into {}: its only rank is 0", name_, name);
    return self_communicator(name);
  }

 private:
  static void copy(const void* in, void* out, std::size_t count, Dtype dtype) {
    if (in != out && count > 0) std::memmove(out, in, count * size_of(dtype));
  }
  std::size_t only(std::span<const std::size_t> counts, const char* operation) const {
    if (counts.size() != 1) fail_run("{} on {}: {} counts given for 1 rank", operation, name_, counts.size());
    return counts[0];
  }
  [[noreturn]] void no_peer(const char* operation, int peer) const {
    fail_run("{} on {}: there is no rank {} to talk to, the group has one rank", operation, name_, peer);
  }
};

}  // namespace

std::unique_ptr<Communicator> self_communicator(const std::string& name) {
  return std::make_unique<SelfCommunicator>(name);
}

}  // namespace eddy::comm
