#pragma once
// Where questions are put: those already answered are answered from the records, the others go to their channels.
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/store.h"

namespace eddy::crawl {

/// Calls `then` after it was hit as often as it was told.
class Countdown {
 public:
  static std::shared_ptr<Countdown> make(std::size_t count, std::function<void()> then) {
    auto c = std::make_shared<Countdown>();
    c->left_ = count;
    c->then_ = std::move(then);
    return c;
  }
  void hit() {
    if (--left_ == 0) std::exchange(then_, nullptr)();
  }

 private:
  std::size_t left_ = 0;
  std::function<void()> then_;
};

/// Numbers of one channel, or of all.
struct Tally {
  std::uint64_t asked = 0;     ///< of the services, in this run
  std::uint64_t answered = 0;  ///< of those, good or failed
  std::uint64_t reached = 0;   ///< of those, with an HTTP status, whichever
  std::uint64_t remembered = 0;
  std::map<std::string, std::uint64_t> failed;  ///< by reason, remembered ones too
};

class Desk {
 public:
  using Then = std::function<void(const Record&)>;
  Desk(Memory memory, bool retry_failed) : memory_(std::move(memory)), retry_failed_(retry_failed) {}

  /// `then` is called once, later, from drain(). A question under way is not put twice; nor is one that this run has
  /// given up, or that brought a payload. Callers keep the answers to others that they may ask for again.
  void ask(const Ask& ask, Then then);
  /// `then` is called from drain(), after what stands before it.
  void later(std::function<void()> then) { ready_.push_back(std::move(then)); }
  /// A record that an owner has committed.
  void deliver(Record record);
  /// Runs what is ready, and what becomes ready by that.
  void drain();
  /// Questions to be sent to their owners since the last call, in the order they were put.
  std::vector<Ask> take_outgoing() { return std::exchange(outgoing_, {}); }
  std::size_t waiting() const { return waiting_.size(); }
  const std::map<std::string, Tally>& tallies() const { return tallies_; }
  /// No server answered anything in this run, though something was asked: why not, by service; "" where one did.
  std::string unreachable() const;
  const std::vector<Record>& failures() const { return failures_; }  ///< without their answers

 private:
  void count(const Record& record);
  Memory memory_;
  bool retry_failed_;
  std::map<std::string, std::vector<Then>> waiting_;            // by key
  std::map<std::string, std::shared_ptr<const Record>> small_;  // this run's records without an answer in them
  std::deque<std::function<void()>> ready_;
  std::vector<Ask> outgoing_;
  std::map<std::string, Tally> tallies_;
  std::vector<Record> failures_;
};

}  // namespace eddy::crawl
