#include "pipeline/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eddy::pipeline {
namespace {

constexpr double kNotYet = -1;

/// Whether an action yields, of its part of the model, the output (0), the input's gradient (1), the weights' gradients
/// (2).
constexpr int kResults = 3;
bool yields(ActionKind kind, int result) {
  switch (kind) {
    case ActionKind::forward:
      return result == 0;
    case ActionKind::backward:
      return result != 0;
    case ActionKind::backward_input:
      return result == 1;
    case ActionKind::backward_weight:
      return result == 2;
  }
  return false;
}

/// One number for each (result, part of the model, micro-batch).
class Table {
 public:
  Table(const Schedule& s, double value)
      : schedule_(s),
        values_(static_cast<std::size_t>(kResults * s.chunks * s.stages) * static_cast<std::size_t>(s.micro_batches),
                value) {}
  double& at(int result, int part, int micro_batch) {
    const auto parts = static_cast<std::size_t>(schedule_.chunks * schedule_.stages);
    return values_[(static_cast<std::size_t>(result) * parts + static_cast<std::size_t>(part)) *
                       static_cast<std::size_t>(schedule_.micro_batches) +
                   static_cast<std::size_t>(micro_batch)];
  }

 private:
  const Schedule& schedule_;
  std::vector<double> values_;
};

int part_of(const Schedule& s, const Action& a) {
  return a.chunk * s.stages + a.stage;
}

void require_complete(const Schedule& s) {
  if (s.stages < 1 || s.micro_batches < 0 || s.chunks < 1 || s.by_stage.size() != static_cast<std::size_t>(s.stages))
    fail_run("schedule: {} stages, {} micro-batches, {} chunks with lists for {} stages", s.stages, s.micro_batches,
             s.chunks, s.by_stage.size());
  Table times(s, 0);
  for (int stage = 0; stage < s.stages; ++stage)
    for (const Action& a : s.actions(stage)) {
      if (a.stage != stage)
        fail_run("schedule: {} of stage {} is in the list of stage {}", label(a, s.chunks), a.stage, stage);
      if (a.micro_batch < 0 || a.micro_batch >= s.micro_batches || a.chunk < 0 || a.chunk >= s.chunks)
        fail_run("schedule: stage {} has {}, with {} micro-batches and {} chunks", stage, label(a, s.chunks),
                 s.micro_batches, s.chunks);
      for (int r = 0; r < kResults; ++r)
        if (yields(a.kind, r) && times.at(r, part_of(s, a), a.micro_batch)++ > 0)
          fail_run("schedule: stage {} does {} twice", stage, label(a, s.chunks));
    }
  constexpr ActionKind kinds[kResults] = {ActionKind::forward, ActionKind::backward_input, ActionKind::backward_weight};
  for (int r = 0; r < kResults; ++r)
    for (int part = 0; part < s.stages * s.chunks; ++part)
      for (int m = 0; m < s.micro_batches; ++m)
        if (times.at(r, part, m) == 0)
          fail_run("schedule: stage {} never does {}", part % s.stages,
                   label({kinds[r], part % s.stages, m, part / s.stages}, s.chunks));
}

/// What the stages do, each as far as the others let it.
class Simulation {
 public:
  Simulation(const Schedule& s, std::span<const Durations> d, int pending_sends)
      : s_(s),
        d_(d),
        pending_sends_(pending_sends),
        done_(s, kNotYet),
        begun_(s, kNotYet),
        stages_(static_cast<std::size_t>(s.stages)) {
    for (int i = 0; i < s.stages; ++i) timeline_.start.emplace_back();
  }

  Timeline run() {
    for (bool progress = true; progress;) {
      progress = false;
      for (int stage = 0; stage < s_.stages; ++stage)
        while (step(stage)) progress = true;
    }
    require_finished();
    double busy = 0;
    for (const auto& st : stages_) {
      timeline_.length = std::max(timeline_.length, st.free);
      busy += st.busy;
      timeline_.in_flight.push_back(st.most_held);
    }
    if (timeline_.length > 0) timeline_.bubble = 1 - busy / (timeline_.length * s_.stages);
    return std::move(timeline_);
  }

 private:
  struct StageState {
    std::size_t next = 0;  ///< action
    double free = 0, busy = 0;
    int held = 0, most_held = 0;
    std::vector<Action> sent;  ///< actions whose result went to another stage, in order
  };

  /// The action that consumes what `a` sends to another stage; false when it sends nothing.
  bool receiver(const Action& a, Action& to) const {
    const int part = part_of(s_, a) + (a.kind == ActionKind::forward ? 1 : -1);
    if (a.kind == ActionKind::backward_weight || s_.stages == 1 || part < 0 || part >= s_.stages * s_.chunks)
      return false;
    to = {a.kind == ActionKind::forward ? ActionKind::forward : ActionKind::backward_input, part % s_.stages,
          a.micro_batch, part / s_.stages};
    return true;
  }

  /// When everything `a` needs is there, or kNotYet.
  double ready(const Action& a) {
    const int part = part_of(s_, a), last = s_.stages * s_.chunks - 1;
    double time = 0;
    const auto needs = [&](double when) { time = when == kNotYet || time == kNotYet ? kNotYet : std::max(time, when); };
    if (a.kind == ActionKind::forward) {
      if (part > 0) needs(done_.at(0, part - 1, a.micro_batch));
    } else if (a.kind == ActionKind::backward_weight) {
      needs(done_.at(1, part, a.micro_batch));
    } else {
      needs(done_.at(0, part, a.micro_batch));
      if (part < last) needs(done_.at(1, part + 1, a.micro_batch));
    }
    return time;
  }

  /// When at most the allowed number of the stage's messages is pending, or kNotYet.
  double room_to_send(const StageState& st) {
    const auto allowed = static_cast<std::size_t>(pending_sends_);
    if (st.sent.size() <= allowed) return 0;
    Action to{};
    receiver(st.sent[st.sent.size() - 1 - allowed], to);
    return begun_.at(to.kind == ActionKind::forward ? 0 : 1, part_of(s_, to), to.micro_batch);
  }

  bool step(int stage) {
    StageState& st = stages_[static_cast<std::size_t>(stage)];
    const auto actions = s_.actions(stage);
    if (st.next == actions.size()) return false;
    const Action& a = actions[st.next];
    const double inputs = ready(a), room = room_to_send(st);
    if (inputs == kNotYet || room == kNotYet) return false;
    const double start = std::max({st.free, inputs, room}),
                 end = start + d_[static_cast<std::size_t>(stage)].of(a.kind);
    for (int r = 0; r < kResults; ++r)
      if (yields(a.kind, r)) {
        begun_.at(r, part_of(s_, a), a.micro_batch) = start;
        done_.at(r, part_of(s_, a), a.micro_batch) = end;
      }
    Action to{};
    if (receiver(a, to)) st.sent.push_back(a);
    if (a.kind == ActionKind::forward) st.most_held = std::max(st.most_held, ++st.held);
    if (yields(a.kind, 2)) --st.held;
    st.busy += end - start;
    st.free = end;
    ++st.next;
    timeline_.start[static_cast<std::size_t>(stage)].push_back(start);
    return true;
  }

  void require_finished() {
    std::string waiting;
    for (int stage = 0; stage < s_.stages; ++stage) {
      const StageState& st = stages_[static_cast<std::size_t>(stage)];
      if (st.next < s_.actions(stage).size())
        waiting += fmt::format("{}stage {} at {}", waiting.empty() ? "" : ", ", stage,
                               label(s_.actions(stage)[st.next], s_.chunks));
    }
    if (!waiting.empty()) fail_run("schedule: the stages wait for each other: {}", waiting);
  }

  const Schedule& s_;
  std::span<const Durations> d_;  // [stage]
  int pending_sends_;
  Table done_, begun_;
  std::vector<StageState> stages_;
  Timeline timeline_;
};

}  // namespace

std::string label(const Action& a, int chunks) {
  constexpr const char* letters = "FBIW";
  std::string name = fmt::format("{}{}", letters[static_cast<int>(a.kind)], a.micro_batch);
  if (chunks > 1) name += static_cast<char>('a' + a.chunk % 26);
  return name;
}

Schedule one_f_one_b(int stages, int micro_batches) {
  if (stages < 1 || micro_batches < 0)
    fail_run("a 1F1B schedule of {} stages and {} micro-batches", stages, micro_batches);
  Schedule s{stages, micro_batches, 1, {}};
  for (int stage = 0; stage < stages; ++stage) {
    auto& actions = s.by_stage.emplace_back();
    const int ahead = std::min(stages - 1 - stage, micro_batches);  // forwards before the first backward can come
    for (int m = 0; m < ahead; ++m) actions.push_back({ActionKind::forward, stage, m});
    for (int m = 0; m < micro_batches; ++m) {
      if (m + ahead < micro_batches) actions.push_back({ActionKind::forward, stage, m + ahead});
      actions.push_back({ActionKind::backward, stage, m});
    }
  }
  return s;
}

double Durations::of(ActionKind kind) const {
  switch (kind) {
    case ActionKind::forward:
      return forward;
    case ActionKind::backward:
      return backward_input + backward_weight;
    case ActionKind::backward_input:
      return backward_input;
    case ActionKind::backward_weight:
      return backward_weight;
  }
  return 0;
}

Timeline validate(const Schedule& schedule, const Durations& durations, int pending_sends) {
  return simulate(schedule, std::vector<Durations>(static_cast<std::size_t>(std::max(schedule.stages, 0)), durations),
                  pending_sends);
}

Timeline simulate(const Schedule& schedule, std::span<const Durations> by_stage, int pending_sends) {
  if (pending_sends < 0) fail_run("schedule: {} pending sends", pending_sends);
  require_complete(schedule);
  if (by_stage.size() != schedule.by_stage.size())
    fail_run("schedule: durations of {} stages for {}", by_stage.size(), schedule.stages);
  return Simulation(schedule, by_stage, pending_sends).run();
}

std::string text(const Schedule& s, int columns) {
  const Durations unit;
  const Timeline t = validate(s, unit);
  const auto shown = static_cast<std::size_t>(std::min<double>(t.length, columns));
  const std::size_t width = label({ActionKind::forward, 0, std::max(s.micro_batches - 1, 0)}, s.chunks).size() + 1;
  std::string out;
  for (int stage = 0; stage < s.stages; ++stage) {
    std::vector<std::string> cells(shown, ".");
    for (std::size_t i = 0; i < s.actions(stage).size(); ++i) {
      const Action& a = s.actions(stage)[i];
      const auto begin = static_cast<std::size_t>(t.start[static_cast<std::size_t>(stage)][i]);
      const auto end = begin + static_cast<std::size_t>(unit.of(a.kind));
      for (std::size_t c = begin; c < std::min(end, shown); ++c) cells[c] = c == begin ? label(a, s.chunks) : "=";
    }
    out += fmt::format("stage {:>2} ", stage);
    for (const auto& cell : cells) out += fmt::format("{:<{}}", cell, width);
    while (out.back() == ' ') out.pop_back();
    out += t.length > columns ? " ...\n" : "\n";
  }
  return out + fmt::format("{} micro-batches, {} units of time, {:.1f}% of it waiting\n", s.micro_batches, t.length,
                           100 * t.bubble);
}

}  // namespace eddy::pipeline
