#include "comm/self_communicator.h"

#include <cstring>

#include "base/error.h"

namespace eddy::comm {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(const std::string& name) : Communicator(0, 1, name) {}
  void barrier() override {}
  std::unique_ptr<Communicator> split(const std::vector<int>& members, const std::string& name) override {
    if (members != std::vector<int>{0}) fail_run("split of {} into {}: its only rank is 0", name_, name);
    return self_communicator(name);
  }

 private:
  void do_broadcast(void*, std::size_t, Dtype, int) override {}
  void do_all_reduce(void*, std::size_t, Dtype, Reduce) override {}
  void do_all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override {
    copy(in, out, counts[0], dtype);
  }
  void do_reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override {
    copy(in, out, counts[0], dtype);
  }
  void do_all_to_all_v(const void* in, std::span<const std::size_t> counts, void* out, std::span<const std::size_t>,
                       Dtype dtype) override {
    copy(in, out, counts[0], dtype);
  }
  std::unique_ptr<Request> do_isend(const void*, std::size_t, Dtype, int, int) override { return nullptr; }
  void do_recv(void*, std::size_t, Dtype, int, int) override {}
  static void copy(const void* in, void* out, std::size_t count, Dtype dtype) {
    if (in != out && count > 0) std::memmove(out, in, count * size_of(dtype));
  }
};

}  // namespace

std::unique_ptr<Communicator> self_communicator(const std::string& name) {
  return std::make_unique<SelfCommunicator>(name);
}

}  // namespace eddy::comm
