#pragma once
// A second queue of work on a GPU, for what may run beside the computation: messages between ranks.
#include <memory>

#include "device/stream.h"

namespace eddy::device {

/// The stream beside `stream` on its GPU: one for each stream, which must outlive it; served before it where both have
/// blocks to run. It has no memory of its own: nothing that takes scratch memory may run there. On the CPU the calling
/// thread, as `stream` is.
Stream lane(const Stream& stream);

/// A place in a stream's order, for others to wait for. Does nothing on the CPU, where work is done when a call
/// returns.
class Mark {
 public:
  Mark();
  Mark(Mark&&) noexcept;
  Mark& operator=(Mark&&) noexcept;
  ~Mark();
  /// Behind all that is enqueued on `stream` so far; moves the mark.
  void set(const Stream& stream);
  /// What is enqueued on `stream` from now on waits for what was before the mark. No wait where it was never set.
  void hold(const Stream& stream) const;

 private:
  struct Event;
  std::unique_ptr<Event> event_;  // made when first set on a GPU's stream
};

}  // namespace eddy::device
