#include "pipeline/schedule.h"

#include <algorithm>

#include "base/error.h"
#include "catch.h"

using namespace eddy::pipeline;
using enum ActionKind;

namespace {

std::string refusal(const Schedule& s, int pending_sends = kUnlimited) {
  try {
    validate(s, {}, pending_sends);
  } catch (const eddy::Error& e) {
    return e.what();
  }
  return "accepted";
}
std::string line(const Schedule& s, int stage) {
  std::string text;
  for (const Action& a : s.actions(stage)) text += (text.empty() ? "" : " ") + label(a, s.chunks);
  return text;
}
std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// Two stages with two chunks each: part 0 and 2 on stage 0, part 1 and 3 on stage 1.
Schedule interleaved() {
  Schedule s{2, 2, 2, {}};
  s.by_stage = {{{forward, 0, 0, 0},
                 {forward, 0, 1, 0},
                 {forward, 0, 0, 1},
                 {forward, 0, 1, 1},
                 {backward, 0, 0, 1},
                 {backward, 0, 1, 1},
                 {backward, 0, 0, 0},
                 {backward, 0, 1, 0}},
                {{forward, 1, 0, 0},
                 {forward, 1, 1, 0},
                 {forward, 1, 0, 1},
                 {backward, 1, 0, 1},
                 {forward, 1, 1, 1},
                 {backward, 1, 1, 1},
                 {backward, 1, 0, 0},
                 {backward, 1, 1, 0}}};
  return s;
}

}  // namespace

TEST_CASE("1F1B of three stages and four micro-batches, worked by hand") {
  const Schedule s = one_f_one_b(3, 4);
  CHECK(line(s, 0) == "F0 F1 F2 B0 F3 B1 B2 B3");
  CHECK(line(s, 1) == "F0 F1 B0 F2 B1 F3 B2 B3");
  CHECK(line(s, 2) == "F0 B0 F1 B1 F2 B2 F3 B3");
  const Timeline t = validate(s);
  CHECK(t.start[0][3] == 7);  // B0 on stage 0: after F0 of three stages, B0 of two
  CHECK(t.length == 18);      // (4 + 3 - 1) · (1 + 2)
  CHECK(t.bubble == approx(2.0 / 6));
  CHECK(t.in_flight == std::vector<int>{3, 2, 1});
}

TEST_CASE("1F1B of any shape is complete, free of deadlock, and holds no more than it must") {
  for (const int stages : {1, 2, 3, 4, 8, 16, 61})
    for (const int micro_batches : {1, 2, 3, 5, 16, 64}) {
      INFO(stages << " stages, " << micro_batches << " micro-batches");
      const Timeline t = validate(one_f_one_b(stages, micro_batches), {}, stages);
      for (int s = 0; s < stages; ++s) CHECK(t.in_flight[index(s)] == std::min(stages - s, micro_batches));
      CHECK(t.length == approx(3 * (micro_batches + stages - 1)));
      CHECK(t.bubble == approx(static_cast<double>(stages - 1) / (micro_batches + stages - 1)));
    }
  const Timeline none = validate(one_f_one_b(4, 0));
  CHECK(none.length == 0);
  CHECK(none.bubble == 0);
}

TEST_CASE("durations stretch the timeline") {
  const Timeline t = validate(one_f_one_b(2, 1), {.forward = 10, .backward_input = 15, .backward_weight = 5});
  CHECK(t.start[1] == std::vector<double>{10, 20});
  CHECK(t.start[0] == std::vector<double>{0, 40});
  CHECK(t.length == 60);
}

TEST_CASE("a slower stage sets the pace") {
  const std::vector<Durations> uneven{{1, 1, 1}, {2, 2, 2}};
  const Timeline t = simulate(one_f_one_b(2, 3), uneven);
  CHECK(t.start[1] == std::vector<double>{1, 3, 7, 9, 13, 15});  // F0 B0 F1 B1 F2 B2, never waiting again
  CHECK(t.length == 21);                                         // and stage 0's B2
  CHECK(t.bubble == approx(1 - 27.0 / 42));
  CHECK_THROWS_WITH(simulate(one_f_one_b(3, 3), uneven), contains_text("durations of 2 stages for 3"));
}

TEST_CASE("split backwards and chunks can be represented") {
  Schedule split = one_f_one_b(2, 2);  // stage 0: F0 F1 B0 B1, stage 1: F0 B0 F1 B1
  split.by_stage[1] = {{forward, 1, 0},        {backward_input, 1, 0},  {forward, 1, 1},
                       {backward_input, 1, 1}, {backward_weight, 1, 0}, {backward_weight, 1, 1}};
  const Timeline t = validate(split);
  CHECK(t.in_flight == std::vector<int>{2, 2});
  CHECK(t.start[0][2] == 3);  // B0 needs only the input's half of stage 1's B0

  const Timeline both = validate(interleaved());
  CHECK(both.in_flight == std::vector<int>{4, 3});
  CHECK(line(interleaved(), 0) == "F0a F1a F0b F1b B0b B1b B0a B1a");
}

TEST_CASE("broken schedules are refused, with the stage and the action") {
  const Schedule good = one_f_one_b(3, 4);
  Schedule s = good;
  s.by_stage[1].erase(s.by_stage[1].begin() + 2);
  CHECK_THAT(refusal(s), contains_text("stage 1 never does I0"));

  s = good;
  s.by_stage[2].push_back({forward, 2, 3});
  CHECK_THAT(refusal(s), contains_text("stage 2 does F3 twice"));

  s = good;
  s.by_stage[0].push_back({backward_weight, 0, 1});
  CHECK_THAT(refusal(s), contains_text("stage 0 does W1 twice"));

  s = good;
  s.by_stage[0][0].stage = 1;
  CHECK_THAT(refusal(s), contains_text("F0 of stage 1 is in the list of stage 0"));

  s = good;
  s.by_stage[0][0].micro_batch = 4;
  CHECK_THAT(refusal(s), contains_text("stage 0 has F4, with 4 micro-batches"));

  s = good;
  s.by_stage[0][0].chunk = 1;
  CHECK_THAT(refusal(s), contains_text("stage 0 has F0"));

  s = good;
  s.by_stage.pop_back();
  CHECK_THAT(refusal(s), contains_text("3 stages, 4 micro-batches, 1 chunks with lists for 2 stages"));

  s = good;  // a backward before its own forward
  std::swap(s.by_stage[2][0], s.by_stage[2][1]);
  CHECK_THAT(refusal(s), contains_text("the stages wait for each other: stage 0 at B0, stage 1 at B0, stage 2 at B0"));

  s = good;  // stage 0 wants B0 before it has sent F1, for which stage 1 waits
  std::swap(s.by_stage[0][1], s.by_stage[0][3]);
  CHECK_THAT(refusal(s), contains_text("the stages wait for each other: stage 0 at B0, stage 1 at F1"));

  s = one_f_one_b(1, 1);
  s.by_stage[0] = {{forward, 0, 0}, {backward_weight, 0, 0}, {backward_input, 0, 0}};
  CHECK_THAT(refusal(s), contains_text("stage 0 at W0"));
}

TEST_CASE("16 stages and 64 micro-batches: one stage in another order is refused") {
  const Schedule good = one_f_one_b(16, 64);
  CHECK(refusal(good) == "accepted");
  Schedule s = good;
  std::reverse(s.by_stage[7].begin(), s.by_stage[7].end());
  CHECK_THAT(refusal(s), contains_text("stage 7 at B63"));
}

TEST_CASE("messages that nobody receives yet hold a stage up") {
  // Stage 0 sends three results ahead before stage 1 wants the first; without room for two, both wait for ever.
  Schedule s{2, 3, 1, {}};
  s.by_stage = {
      {{forward, 0, 0}, {forward, 0, 1}, {forward, 0, 2}, {backward, 0, 0}, {backward, 0, 1}, {backward, 0, 2}},
      {{forward, 1, 2}, {forward, 1, 0}, {forward, 1, 1}, {backward, 1, 0}, {backward, 1, 1}, {backward, 1, 2}}};
  CHECK(refusal(s) == "accepted");
  CHECK(refusal(s, 2) == "accepted");
  CHECK_THAT(refusal(s, 1), contains_text("stage 0 at F2, stage 1 at F2"));
}

TEST_CASE("schedules are printed as a grid") {
  CHECK(text(one_f_one_b(2, 3)) ==
        "stage  0 F0 F1 .  .  B0 =  F2 B1 =  .  B2 =\n"
        "stage  1 .  F0 B0 =  F1 B1 =  F2 B2 =  .  .\n"
        "3 micro-batches, 12 units of time, 25.0% of it waiting\n");
  const std::string cut = text(one_f_one_b(16, 64), 4);
  CHECK_THAT(cut, contains_text("stage  0 F0  F1  F2  F3 ...\n"));
  CHECK_THAT(cut, contains_text("stage 15 .   .   .   . ...\n"));
}
