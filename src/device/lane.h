#pragma once
// A second queue of work on a GPU, for what may run beside the computation: messages between ranks.
#include <cstdint>
#include <memory>

#include "device/stream.h"

namespace eddy::device {

/// What a lane is for: the messages of one are in one order, those of two do not wait for each other.
enum class Lane : std::uint8_t {
  state,  ///< sums of gradients, updated values
  rows,   ///< experts' rows
};
/// A stream beside `stream` on its GPU: one of each kind for each stream, which must outlive it; served before it where
/// both have blocks to run. It has no memory of its own: nothing that takes scratch memory may run there, and what it
/// uses of `stream`'s must be taken before the mark that it waits for and kept until `stream` waits for it. On the CPU
/// the calling thread, as `stream` is.
Stream lane(const Stream& stream, Lane kind);

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
