#include "kernels/embedding/embedding.h"

#include <omp.h>

#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Ids = std::vector<std::int32_t>;

TEST_CASE("embedding by hand: a part of the vocabulary") {
  Block table(2, 2, {1, 2, 3, 4}), y(5, 2, 1, 9);  // ids 10 and 11
  Ids ids{11, 10, 9, 12, -1};
  embedding({}, table, ints(ids), 10, y);
  CHECK(y.floats() == std::vector<float>{3, 4, 1, 2, 0, 0, 0, 0, 0, 0});
  CHECK(y.gaps_untouched());
  Block dtable(2, 2, {10, 10, 20, 20}), dy(5, 2, {1, 2, 3, 4, 5, 5, 6, 6, 7, 7});
  embedding_backward({}, dy, ints(ids), 10, dtable);
  CHECK(dtable.floats() == std::vector<float>{13, 14, 21, 22});
}

TEST_CASE("embedding: an id of -1 is nobody's, even where the part begins there") {
  Block table(2, 1, {1, 2}), y(1, 1, 0, 9), dy(1, 1, {3});
  Ids ids{-1};
  embedding({}, table, ints(ids), -1, y);
  embedding_backward({}, dy, ints(ids), -1, table);
  CHECK(y(0, 0) == 0);
  CHECK(table.floats() == std::vector<float>{1, 2});
}

TEST_CASE("embedding: repeated tokens add up in token order, whatever the threads") {
  const int tokens = 700, hidden = 129;
  Ids ids;
  for (int t = 0; t < tokens; ++t) ids.push_back(t * t % 7);
  Block dy = Block::random(tokens, hidden, 1, 3), expected(7, hidden);
  for (int t = 0; t < tokens; ++t)
    for (int c = 0; c < hidden; ++c)
      expected(ids[static_cast<std::size_t>(t)], c) += dy(t, c);  // the same order, the same bits
  const int threads = omp_get_max_threads();
  for (const int n : {1, 3}) {
    omp_set_num_threads(n);
    Block dtable(7, hidden, 2);
    embedding_backward({}, dy, ints(ids), 0, dtable);
    CHECK(dtable.floats() == expected.floats());
    CHECK(dtable.gaps_untouched());
  }
  omp_set_num_threads(threads);
}

TEST_CASE("embedding: no tokens, no part") {
  Block table(0, 3), y(2, 3, 0, 9), none(0, 3);
  Ids ids{0, 1}, no_ids;
  embedding({}, table, ints(ids), 0, y);
  CHECK(y.floats() == std::vector<float>(6, 0.0f));
  Block dtable(2, 3, 0, 4);
  embedding_backward({}, none, ints(no_ids), 0, dtable);
  CHECK(dtable.floats() == std::vector<float>(6, 4.0f));
}
