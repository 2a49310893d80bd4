// The exchange on GPUs: by way of the host with any number of ranks on one, and by NCCL where each rank has its own.
#include "comm/gpu.h"
#include "comm/transports.h"
#include "device/gpu.h"
#include "dispatch_cases.h"
#include "support.h"

using namespace eddy::comm;

TEST_CASE("each token's rows on a GPU reach its experts, and their sum comes back") {
  std::string why;
  if (eddy::device::gpu_count(&why) == 0) return eddy_test::skip(why);
  Session session;
  session.set_timeout(100);
  const GpuChoice choice = choose_gpu(session);
  const auto stream = eddy::device::open_gpu(choice.index, std::size_t{256} << 20);
  std::vector<int> all(static_cast<std::size_t>(session.size()));
  for (int r = 0; r < session.size(); ++r) all[static_cast<std::size_t>(r)] = r;
  for (const Backend backend : {Backend::mpi, Backend::nccl}) {
    if (backend == Backend::nccl && !shared_gpu(session.world()).empty()) continue;
    Transports transports(session.world(), backend);
    const auto ep = session.world().split(all, "ep");
    transports.attach(*ep);
    transports.attach_lane(*ep, eddy::device::lane(stream, eddy::device::Lane::rows));
    eddy_test::exchange_and_compare(stream, *ep);
  }
}
