// Runs of words shared with evaluation items.
#include "text/overlap.h"

#include "catch.h"

using namespace eddy::text;

TEST_CASE("a run of n words is found whatever its case and punctuation, a shorter one is not") {
  Overlap o(5);
  CHECK(o.add("How many eggs does the duck lay each day?", 7));
  CHECK_FALSE(o.add("too short to check", 8));
  CHECK(o.runs() == 5);
  const auto hit = o.find("They asked: HOW many eggs -- does the\nduck sing?");
  REQUIRE(hit);
  CHECK(hit->item == 7);
  CHECK(hit->words == ": HOW many eggs -- does the");
  CHECK_FALSE(o.find("how many eggs does a duck lay each week"));
  CHECK_FALSE(o.find("eggs"));
  CHECK_FALSE(o.find(""));
  CHECK_FALSE(Overlap(5).find("How many eggs does the duck lay each day?"));
}
