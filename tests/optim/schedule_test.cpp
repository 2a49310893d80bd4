#include "optim/schedule.h"

#include "base/error.h"
#include "catch.h"

using namespace eddy::optim;

TEST_CASE("warm-up rises from lr / n to the peak") {
  const Schedule s{ScheduleKind::constant, 2.0, 0.1, 4, 10};
  CHECK(lr_at(s, 0) == approx(0.5));
  CHECK(lr_at(s, 1) == approx(1.0));
  CHECK(lr_at(s, 3) == approx(2.0));
  CHECK(lr_at(s, 4) == approx(2.0));
  CHECK(lr_at(s, 1000) == approx(2.0));
}

TEST_CASE("linear falls to the least rate and stays there") {
  const Schedule s{ScheduleKind::linear, 1.0, 0.2, 2, 12};
  CHECK(lr_at(s, 2) == approx(1.0));
  CHECK(lr_at(s, 7) == approx(0.6));
  CHECK(lr_at(s, 12) == approx(0.2));
  CHECK(lr_at(s, 50) == approx(0.2));
}

TEST_CASE("cosine: peak, middle, a quarter, end") {
  const Schedule s{ScheduleKind::cosine, 1.0, 0.0, 0, 8};
  CHECK(lr_at(s, 0) == approx(1.0));
  CHECK(lr_at(s, 2) == approx(0.8535533905932737));  // (1 + cos 45°) / 2
  CHECK(lr_at(s, 4) == approx(0.5));
  CHECK(lr_at(s, 8) == approx(0.0).margin(1e-12));
}

TEST_CASE("wsd holds the peak until the last part") {
  const Schedule s{ScheduleKind::wsd, 1.0, 0.0, 10, 100, 0.2};
  CHECK(lr_at(s, 4) == approx(0.5));
  CHECK(lr_at(s, 10) == approx(1.0));
  CHECK(lr_at(s, 79) == approx(1.0));
  CHECK(lr_at(s, 80) == approx(1.0));
  CHECK(lr_at(s, 90) == approx(0.5));
  CHECK(lr_at(s, 100) == approx(0.0).margin(1e-12));
}

TEST_CASE("warm-up as long as the run, or longer") {
  const Schedule s{ScheduleKind::cosine, 1.0, 0.1, 10, 10};
  CHECK(lr_at(s, 9) == approx(1.0));
  CHECK(lr_at(s, 10) == approx(0.1));
}

TEST_CASE("names") {
  CHECK(parse_schedule("wsd") == ScheduleKind::wsd);
  CHECK_THROWS_AS(parse_schedule("cosinus"), eddy::Error);
}
