// The nearest known name: what an error offers instead of a misspelt one.
#include "base/options.h"
#include "catch.h"

using eddy::nearest;

TEST_CASE("nearest by edit distance") {
  const std::vector<std::string> keys{"optim.lr", "parallel.tp", "parallel.pp", "train.seq_len", "json"};
  CHECK(nearest("optim.lr", keys) == "optim.lr");
  CHECK(nearest("optm.lr", keys) == "optim.lr");
  CHECK(nearest("parallel.pt", keys) ==
        "parallel.tp");  // swapped neighbours are one edit, a replaced letter and a kept one two
  CHECK(nearest("train.seqlen", keys) == "train.seq_len");
  CHECK(nearest("train.seq-length", keys) == "train.seq_len");
  CHECK(nearest("jsn", keys) == "json");
  CHECK(nearest("tp", keys) == "parallel.tp");
  CHECK(nearest("train.lr", keys) == "optim.lr");
}

TEST_CASE("nothing near") {
  CHECK(nearest("completely_else", {"optim.lr", "json"}).empty());
  CHECK(nearest("x", {}).empty());
  CHECK(nearest("", {"json"}).empty());
}
