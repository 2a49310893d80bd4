#include "device/span.h"

#ifdef EDDY_WITH_CUDA
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "device/cuda_check.h"
#endif

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
namespace {

struct Timed {
  const char* name;
  Cost cost;
  cudaEvent_t begin, end;
};
/// Kept by each stream that spans were opened on.
struct Profile {
  explicit Profile(const Stream&) {}
  ~Profile() {
    for (auto& t : timed) {
      (void)cudaEventDestroy(t.begin);
      (void)cudaEventDestroy(t.end);
    }
  }
  bool on = false, open = false;
  std::vector<Timed> timed;
};

}  // namespace

Span::Span(const Stream& stream, const char* name, Cost cost) {
  if (!stream.on_gpu()) return;
  auto& profile = stream.state<Profile>();
  if (profile.open) return;
  stream_ = &stream;
  profile.open = true;
  nvtxRangePushA(name);
  if (!profile.on) return;
  Timed t{name, cost, nullptr, nullptr};
  check(cudaEventCreate(&t.begin));
  check(cudaEventCreate(&t.end));
  check(cudaEventRecord(t.begin, native(stream)));
  profile.timed.push_back(t);
}
Span::~Span() {
  if (!stream_) return;
  auto& profile = stream_->state<Profile>();
  profile.open = false;
  nvtxRangePop();
  if (profile.on) (void)cudaEventRecord(profile.timed.back().end, native(*stream_));
}

void start_profile(const Stream& stream) {
  if (!stream.on_gpu()) return;
  stream.synchronize();
  stream.state<Profile>().on = true;
}

std::vector<SpanTime> stop_profile(const Stream& stream) {
  if (!stream.on_gpu()) return {};
  auto& profile = stream.state<Profile>();
  stream.synchronize();
  std::map<std::string, SpanTime> sums;
  for (auto& t : profile.timed) {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, t.begin, t.end));
    check(cudaEventDestroy(t.begin));
    check(cudaEventDestroy(t.end));
    auto& s = sums[t.name];
    s.name = t.name;
    s.seconds += ms * 1e-3;
    s.cost.bytes += t.cost.bytes;
    s.cost.flops += t.cost.flops;
    ++s.count;
  }
  profile.timed.clear();
  profile.on = false;
  std::vector<SpanTime> out;
  for (auto& [name, s] : sums) out.push_back(std::move(s));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return out;
}
#else
Span::Span(const Stream&, const char*, Cost) {}
Span::~Span() = default;
void start_profile(const Stream&) {}
std::vector<SpanTime> stop_profile(const Stream&) {
  return {};
}
#endif

}  // namespace eddy::device
