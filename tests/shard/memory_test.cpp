// Memory while the corpus grows tenfold: what eddy-bench corpus-stage reports is kept within what docs/corpus.md says.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "support.h"

using eddy_test::run;

TEST_CASE("ten times the documents: rank 0 takes 84 bytes for each, the others nothing") {
#ifdef __SANITIZE_ADDRESS__
  eddy_test::skip("AddressSanitizer keeps what is freed");
#else
  // Buffers of journal, spill and messages take some 15 MB of private memory, 8 more than MPI and the tokenizer.
  constexpr double kDocuments = 10 * 20000, kBuffers = 24e6;
  const auto r = run({"eddy-bench", "corpus-stage", "--documents", "20000", "--words", "8", "--growth", "10",
                      "--keys-at-once", "20000", "--shard-tokens", "200000", "--json"},
                     2, 250);
  INFO(r.err);
  REQUIRE(r.status == 0);
  const auto j = nlohmann::json::parse(r.out);
  INFO(j.dump(1));
  for (const char* phase : {"gather", "duplicates", "write"}) {
    const auto peak = [&](std::size_t rank) {
      return j.at("ranks_together_grown").at(rank).at(phase).at("peak_private_bytes").get<double>();
    };
    INFO(phase << ": " << peak(0) << ", " << peak(1));
    CHECK(peak(0) < 84 * kDocuments + kBuffers);
    CHECK(peak(1) < kBuffers);
    CHECK(peak(0) > 0);
  }
#endif
}
