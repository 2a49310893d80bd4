// Messages of more than 2^31 elements: what no int can count. Takes about 5 GiB.
#include <unistd.h>

#include <vector>

#include "catch.h"
#include "comm/mpi_communicator.h"
#include "comm/session.h"
#include "support.h"

using eddy::Dtype;

TEST_CASE("more than 2^31 bytes in one broadcast, gather and message") {
  const double free_bytes = static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  eddy::comm::Session session;
  auto& world = session.world();
  double least = free_bytes;
  world.all_reduce(&least, 1, Dtype::f64, eddy::comm::Reduce::min);
  if (least < 8e9) {
    eddy_test::skip("needs 8 GB of free memory");
    return;
  }
  const auto me = static_cast<std::size_t>(world.rank());
  const std::size_t own = (std::size_t{1} << 30) + 7;  // two of them pass 2^31
  std::vector<std::uint8_t> all(2 * own, 0);
  const auto value = [](std::size_t i) { return static_cast<std::uint8_t>((i * 2654435761u) >> 24); };
  for (std::size_t i = me * own; i < (me + 1) * own; ++i) all[i] = value(i);
  world.all_gather(all.data() + me * own, all.data(), own, Dtype::u8);
  const auto wrong = [&] {
    std::size_t n = 0;
    for (std::size_t i = 0; i < all.size(); ++i) n += all[i] != value(i);
    return n;
  };
  CHECK(wrong() == 0);
  if (me == 1) std::fill(all.begin(), all.end(), std::uint8_t{0});
  world.broadcast(all.data(), all.size(), Dtype::u8, 0);
  CHECK(wrong() == 0);
  if (me == 0) {
    world.isend(all.data(), all.size(), Dtype::u8, 1, 5)->wait();
  } else {
    std::fill(all.begin(), all.end(), std::uint8_t{0});
    world.recv(all.data(), all.size(), Dtype::u8, 0, 5);
    CHECK(wrong() == 0);
  }
}
