// XXH3-64: published values, and pieces against the whole.
#include "base/hash.h"

#include <vector>

#include "catch.h"

using namespace eddy;

TEST_CASE("known values") {
  CHECK(xxh3("") == 0x2d06800538d394c2ull);
  CHECK(hex64(xxh3("")) == "2d06800538d394c2");
  CHECK(hex64(0x0a) == "000000000000000a");
  CHECK(xxh3("abc") != xxh3("abc", 1));
}

TEST_CASE("pieces give the hash of the whole") {
  std::vector<unsigned char> bytes(5000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 7 + i / 256);
  Xxh3Stream stream;
  for (std::size_t i = 0, n = 1; i < bytes.size(); i += n, n = n * 2 + 1)
    stream.update(bytes.data() + i, std::min(n, bytes.size() - i));
  CHECK(stream.digest() == xxh3(bytes.data(), bytes.size()));
  Xxh3Stream moved = std::move(stream);
  CHECK(moved.digest() == xxh3(bytes.data(), bytes.size()));
  CHECK(Xxh3Stream().digest() == xxh3(""));
}
