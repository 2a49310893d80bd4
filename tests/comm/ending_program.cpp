// Ends in the way its argument names; ending_test.cpp looks at what the job then says and returns.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "comm/gpu.h"
#include "comm/session.h"
#include "comm/transports.h"
#include "device/gpu.h"

namespace {

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// Ways that need GPUs: with one, ranks share it.
int on_gpus(eddy::comm::Session& session, const std::string& way) {
  using namespace eddy::comm;
  const auto stream = eddy::device::open_gpu(choose_gpu(session).index, 1 << 20);
  auto& world = session.world();
  Transports transports(world, way == "gpu-staged-hang" ? Backend::mpi : Backend::nccl);  // refused where they share
  session.set_timeout(30);
  const auto pipeline = world.split({0, 1}, "pp{0,1}");
  transports.attach(world);
  transports.attach(*pipeline, Messages::neighbours);
  auto* x = static_cast<float*>(stream.arena()->take(4096));
  const bool last = session.rank() == session.size() - 1;
  world.all_reduce(x, 1024, eddy::Dtype::f32, Reduce::sum, stream);
  stream.synchronize();
  if (way == "gpu-done") return 0;
  if (way != "gpu-throws") session.set_timeout(2);
  if (way == "gpu-throws" && last) throw std::runtime_error("something broke beside a GPU");
  if (last) sleep_s(60);
  if (way == "gpu-recv-hang") {  // the host has enqueued it all and waits for the stream
    pipeline->recv(x, 1024, eddy::Dtype::f32, 1, 0, stream);
    sleep_s(60);
  }
  world.all_reduce(x, 1024, eddy::Dtype::f32, Reduce::sum, stream);
  stream.synchronize();
  return 0;
}

int body(eddy::comm::Session& session, const std::string& way) {
  auto& world = session.world();
  const bool last = session.rank() == session.size() - 1;
  if (way.starts_with("gpu-")) return on_gpus(session, way);
  if (way == "done") return 0;
  if (way == "stopped") return 75;
  if (way == "done-late") {  // later than ranks wait for each other after a failure
    if (session.rank() == 0) sleep_s(3);
    return 0;
  }
  if (way == "all-unusable") eddy::fail_input("option x.y is impossible");
  if (way == "all-return-1") {
    std::printf("result of rank %d\n", session.rank());  // must not be lost in a buffer
    return 1;
  }
  if (way == "statuses-differ") {
    if (session.rank() == 0) return 0;
    eddy::fail_input("rank {} differs", session.rank());
  }
  if (way == "one-throws" || way == "one-unusable") {
    std::vector<float> sent(1 << 20, 1.f);
    const auto alone = world.split({session.rank()}, "alone");
    if (last) {
      const auto request = world.isend(sent.data(), sent.size(), eddy::Dtype::f32, 0, 0);  // nobody receives it
      if (way == "one-unusable") eddy::fail_input("shard-7 of this rank is torn");
      throw std::runtime_error("something broke on one rank");
    }
    world.barrier();
  }
  if (way == "hang") {
    session.set_timeout(2);
    const auto group = world.split({0, 1}, "tp{0,1}");
    if (last) sleep_s(60);
    float x = 1;
    group->all_reduce(&x, 1, eddy::Dtype::f32, eddy::comm::Reduce::sum);
  }
  if (way == "two-hang") {  // all groups time out at once, and the ranks do not die of SIGTERM
    session.set_timeout(1);
    std::signal(SIGTERM, SIG_IGN);
    if (last) sleep_s(60);
    world.barrier();
  }
  if (way == "frozen") {  // as a debugger or a suspended job leaves it
    session.set_timeout(1);
    if (session.rank() == 0) std::raise(SIGSTOP);
    world.barrier();
  }
  if (way == "killed") {
    if (last) std::raise(SIGKILL);
    world.barrier();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "";
  return eddy::comm::run_mpi_main("ending", argc, argv, [&](eddy::comm::Session& s) { return body(s, way); });
}
