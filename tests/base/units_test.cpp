// Numbers as people read and write them.
#include "base/units.h"

#include <limits>

#include "base/error.h"
#include "catch.h"

using namespace eddy;

TEST_CASE("bytes") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.50 KiB");
  CHECK(bytes_text(80. * 1024 * 1024 * 1024) == "80.00 GiB");
  CHECK(bytes_text(1e20) == "88817.84 PiB");
}

TEST_CASE("durations") {
  CHECK(duration(4.2) == "4.2s");
  CHECK(duration(200) == "3m20s");
  CHECK(duration(60) == "1m00s");
  CHECK(duration(3720) == "1h02m");
  CHECK(duration(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("commas") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(671026419200) == "671,026,419,200");
  CHECK(with_commas(-1234567) == "-1,234,567");
}

TEST_CASE("sizes") {
  CHECK(parse_bytes("1000", "x") == 1000);
  CHECK(parse_bytes("5GB", "x") == 5000000000ull);
  CHECK(parse_bytes("512 MiB", "x") == 536870912ull);
  CHECK(parse_bytes("1.5KiB", "x") == 1536);
  for (const char* bad : {"", "GB", "-1", "5gb", "5 GB x", "1e30", "nan"})
    CHECK_THROWS_WITH(parse_bytes(bad, "--shard-size"),
                      "--shard-size: '" + std::string(bad) + "' is not a size; write for example 5GB or 512MiB");
}
