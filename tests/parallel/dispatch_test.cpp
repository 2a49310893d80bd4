#include "dispatch_cases.h"

#include "comm/session.h"

using eddy::parallel::planned_rows;

TEST_CASE("planned rows: balanced routing's share, room for few tokens of each rank, no more than there can be") {
  CHECK(planned_rows(100, 8, 16, 1, 0.1) == 800);
  CHECK(planned_rows(100, 8, 16, 2, 1.5) == 1200);
  CHECK(planned_rows(100, 8, 16, 2, 2.5) == 1600);
  CHECK(planned_rows(100, 8, 16, 4, 1.001) == 801);
  CHECK(planned_rows(100, 8, 16, 8, 100) == 1600);  // two experts a rank: 8 ranks send 100 tokens to both
  CHECK(planned_rows(100, 8, 16, 4, 0.001) == 40);  // of each rank a visit with one row, with two, three, four
}

TEST_CASE("each token's rows reach its experts, and their sum comes back") {
  eddy::comm::Session session;
  eddy_test::exchange_and_compare({}, session.world());
}
