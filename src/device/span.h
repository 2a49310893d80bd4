#pragma once
// Names a stretch of a GPU stream's work: an NVTX range for profilers, and, while a profile is taken, its time.
#include <string>
#include <vector>

#include "device/stream.h"

namespace eddy::device {

/// What the stretch must do at least: bytes read and written in device memory, floating-point operations.
struct Cost {
  double bytes = 0, flops = 0;
};

/// Covers the work enqueued while it lives. Spans do not nest (an inner one is passed over). Costs nothing on the CPU.
class Span {
 public:
  Span(const Stream& stream, const char* name, Cost cost = {});
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  const Stream* stream_ = nullptr;
};

/// The spans of one name, summed.
struct SpanTime {
  std::string name;
  double seconds = 0;
  Cost cost;
  int count = 0;
};
/// From here on spans on the stream are timed (two events each).
void start_profile(const Stream& stream);
/// Waits for the stream and returns the spans since start_profile, the longest first.
std::vector<SpanTime> stop_profile(const Stream& stream);

}  // namespace eddy::device
