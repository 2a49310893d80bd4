#include "comm/gpu.h"

#include <cstdlib>
#include <vector>

#include "base/hash.h"
#include "device/gpu.h"

namespace eddy::comm {

GpuChoice choose_gpu(Session& session) {
  // Streams share the GPU's queues when they are few, and one that waits for another rank holds up its queue.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  GpuChoice choice;
  choice.index = session.local_rank() % device::gpu_count();
  // CUDA_VISIBLE_DEVICES may give two ranks one GPU under any number: its identity tells.
  const std::string identity = session.host() + ' ' + device::gpu_info(choice.index).uuid;
  auto own = static_cast<std::int64_t>(xxh3(identity));
  std::vector<std::int64_t> all(static_cast<std::size_t>(session.size()));
  session.world().all_gather(&own, all.data(), 1, Dtype::i64);
  choice.sharing = 0;
  for (const auto other : all) choice.sharing += other == own ? 1 : 0;
  return choice;
}

}  // namespace eddy::comm
