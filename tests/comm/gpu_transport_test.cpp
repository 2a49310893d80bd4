// What carries a GPU's data to other ranks: by way of the host with any number of ranks on one GPU, and NCCL where
// each rank has a GPU of its own.
#include "base/error.h"
#include "comm/gpu.h"
#include "comm/mpi_communicator.h"
#include "comm/transports.h"
#include "device/gpu.h"
#include "device/lane.h"
#include "support.h"
#include "transport_cases.h"

using namespace eddy::comm;
using eddy::Dtype;
using eddy::device::Stream;

namespace {

std::unique_ptr<Communicator> everybody(Session& session, const std::string& name) {
  std::vector<int> all(static_cast<std::size_t>(session.size()));
  for (int r = 0; r < session.size(); ++r) all[static_cast<std::size_t>(r)] = r;
  return session.world().split(all, name);
}
DeviceTransport& attached(const Communicator& c) {
  return const_cast<DeviceTransport&>(*c.transport());
}

void try_backend(Session& session, const Stream& stream, Backend backend, const std::string& name) {
  Transports transports(session.world(), backend);
  const auto c = everybody(session, name), pipeline = everybody(session, name + " again");
  transports.attach(*c);
  transports.attach(*pipeline, Messages::neighbours);
  CHECK(attached(*c).name() == (session.size() == 1 ? "self" : name));
  eddy_test::every_operation(session.world(), attached(*c), stream);
  if (session.size() > 1) eddy_test::messages(session.world(), attached(*pipeline), stream);

  // By way of the communicator, which counts bytes and keeps what has nothing to do from its transport.
  const auto before = c->bytes_sent();
  const eddy_test::Memory data(stream, eddy_test::numbers(1000, Dtype::f32, session.rank()));
  c->all_reduce(data.data(), 1000, Dtype::f32, Reduce::sum, stream);
  c->all_reduce(nullptr, 0, Dtype::f32, Reduce::sum, stream);
  c->all_gather_v(nullptr, nullptr, eddy_test::Counts(static_cast<std::size_t>(c->size()), 0), Dtype::f32, stream);
  auto right = eddy_test::numbers(1000, Dtype::f32, session.rank());
  session.world().all_reduce(right.data(), 1000, Dtype::f32, Reduce::sum);
  CHECK((data.read() == right));
  const auto n = static_cast<std::size_t>(session.size());
  CHECK(c->bytes_sent() - before == 2 * (n - 1) * 4000 / n);
  if (session.size() > 1 && attached(*c).name() == std::string("nccl")) {
    CHECK_THROWS_WITH(c->recv(data.data(), 1, Dtype::f32, 1 - std::min(session.rank(), 1), 0, stream),
                      contains_text("no messages to or from rank"));
  }
}

/// A group's collectives on a stream and on its lane. Ranks hold up the one or the other, so that their GPUs come to
/// the two in opposite orders: each kernel waits for a peer's while the other one does the same.
void try_lane(Session& session, const Stream& stream, Backend backend) {
  Transports transports(session.world(), backend);
  const auto c = everybody(session, "both");
  using eddy::device::Lane;
  const Stream lane = eddy::device::lane(stream, Lane::state), other = eddy::device::lane(stream, Lane::rows);
  CHECK(lane.native() != stream.native());
  CHECK(lane.native() != other.native());
  CHECK(lane.native() == eddy::device::lane(stream, Lane::state).native());
  transports.attach(*c);
  transports.attach_lane(*c, lane);
  const auto n = static_cast<std::size_t>(session.size()), me = static_cast<std::size_t>(session.rank());
  constexpr std::size_t kCount = 400'003, kPart = 100'032, kSlow = std::size_t{64} << 20;
  const eddy_test::Memory slow(stream, eddy_test::poison(kSlow));
  for (int round = 0; round < 6; ++round) {
    auto sum = eddy_test::numbers(kCount, Dtype::f32, session.rank() + round);
    const auto parts = eddy_test::numbers(n * kPart, Dtype::f32, session.rank() + 3 * round);
    eddy_test::Bytes own(kPart * 4);
    const eddy_test::Memory sums(stream, sum), scattered(stream, parts);
    for (int again = 0; again < 100; ++again)
      eddy::device::zero((session.rank() + round) % 2 == 0 ? lane : stream, slow.data(), kSlow);
    c->all_reduce(sums.data(), kCount, Dtype::f32, Reduce::sum, stream);
    c->reduce_scatter(scattered.data(), scattered.data(me * kPart * 4), kPart, Dtype::f32, lane);
    eddy::device::Mark done;
    done.set(lane);
    done.hold(stream);
    session.world().all_reduce(sum.data(), kCount, Dtype::f32, Reduce::sum);
    session.world().reduce_scatter(parts.data(), own.data(), kPart, Dtype::f32);
    const auto all = scattered.read();
    INFO("round " << round);
    CHECK((sums.read() == sum));
    CHECK(std::equal(own.begin(), own.end(), all.begin() + static_cast<std::ptrdiff_t>(me * kPart * 4)));
  }
}

/// By NCCL where each rank has a GPU of its own; else it is refused.
void try_nccl(Session& session, const Stream& stream, bool is_shared) {
  const std::string shared = shared_gpu(session.world());
  CHECK(shared.empty() != is_shared);
  const Transports automatic(session.world(), Backend::automatic);
  CHECK(automatic.backend() == (is_shared ? Backend::mpi : Backend::nccl));
  if (is_shared)
    CHECK_THROWS_WITH(Transports(session.world(), Backend::nccl), contains_text("comm.backend=mpi"));
  else
    try_backend(session, stream, Backend::nccl, "nccl");
  try_lane(session, stream, automatic.backend());
}

}  // namespace

TEST_CASE("data on GPUs between ranks: by way of the host, by NCCL, and with nothing attached") {
  std::string why;
  if (eddy::device::gpu_count(&why) == 0) return eddy_test::skip(why);
  Session session;
  session.set_timeout(100);
  const GpuChoice choice = choose_gpu(session);
  if (session.size() == 1) CHECK(choice.sharing == 1);
  const Stream stream = eddy::device::open_gpu(choice.index, std::size_t{512} << 20);
  if (session.size() > 1) {
    const auto c = everybody(session, "bare");
    CHECK_THROWS_WITH(c->broadcast(nullptr, 1, Dtype::f32, 0, stream), contains_text("comm.backend"));
  }
  try_backend(session, stream, Backend::mpi, "mpi");
  try_nccl(session, stream, choice.sharing > 1);
}
