#pragma once
// What a pipeline does when: schedules as data, made, checked, timed and printed without running anything.
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace eddy::pipeline {

/// `backward` is both halves in one: the gradient of the input (which the stage before waits for) and of the weights.
enum class ActionKind { forward, backward, backward_input, backward_weight };

struct Action {
  ActionKind kind;
  int stage;        ///< who does it
  int micro_batch;  ///< on what
  int chunk = 0;    ///< with which of the stage's chunks of layers
  bool operator==(const Action&) const = default;
};
/// "F3", "B3", "I3" (input), "W3" (weight); with several chunks "F3a", "F3b", …
std::string label(const Action& action, int chunks = 1);

/// Each stage does its actions in order, and waits in each for what it needs. A model cut into stages × chunks parts
/// runs part chunk · stages + stage on `stage`: part p's forward needs part p-1's of the same micro-batch, its backward
/// part p+1's.
struct Schedule {
  int stages = 1, micro_batches = 0, chunks = 1;
  std::vector<std::vector<Action>> by_stage;
  std::span<const Action> actions(int stage) const { return by_stage.at(static_cast<std::size_t>(stage)); }
};

/// 1F1B (PipeDream-flush, arXiv 2006.09503, §2.2): stage s holds the activations of at most min(stages - s,
/// micro_batches) micro-batches. Throws Error (status 1) for less than one stage or a negative number of micro-batches.
Schedule one_f_one_b(int stages, int micro_batches);

/// How long actions take, in any unit; `backward` takes both its halves' time. Messages take none.
struct Durations {
  double forward = 1, backward_input = 1, backward_weight = 1;
  double of(ActionKind kind) const;
};
struct Timeline {
  std::vector<std::vector<double>> start;  ///< [stage][action]
  double length = 0;                       ///< until the last action ends
  double bubble = 0;                       ///< part of stages × length in which a stage waits
  std::vector<int> in_flight;  ///< [stage] most (micro-batch, chunk) pairs between forward and the end of backward
};
constexpr int kUnlimited = std::numeric_limits<int>::max();

/// Refuses (Error, status 1, naming stage and action) a schedule in which an action is missing, doubled or at a stage
/// that is not its own, or whose stages end up waiting for each other; times the others. Receives block; a stage goes
/// on while at most `pending_sends` of its messages have not been received, and then waits for the oldest.
Timeline validate(const Schedule& schedule, const Durations& durations = {}, int pending_sends = kUnlimited);
/// validate() with durations of each stage's own.
Timeline simulate(const Schedule& schedule, std::span<const Durations> by_stage, int pending_sends = kUnlimited);

/// A line a stage, a column a unit of time (forward 1, backward 2), as far as `columns` units; and the bubble below.
std::string text(const Schedule& schedule, int columns = 60);

}  // namespace eddy::pipeline
