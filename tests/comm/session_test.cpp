#include "comm/session.h"

#include <mpi.h>
#include <omp.h>

#include <cstdlib>

#include "base/error.h"
#include "catch.h"
#include "comm/mpi_communicator.h"

using eddy::comm::Session;

TEST_CASE("a session uses MPI where it runs already, and leaves it running") {
  {
    Session s;
    int rank = -1, size = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    CHECK(s.rank() == rank);
    CHECK(s.size() == size);
    CHECK(s.world().rank() == rank);
    CHECK(s.world().size() == size);
    CHECK(s.world().name() == "world");
    CHECK_FALSE(s.host().empty());
    CHECK(s.local_rank() == rank);  // the tests' ranks share one machine
    CHECK(s.local_size() == size);
  }
  CHECK(eddy::comm::mpi_running());
  Session again;
  again.set_timeout(60);
  again.world().barrier();
}

TEST_CASE("MPI's handle of the world, for HDF5") {
  Session s;
  int size = 0;
  MPI_Comm_size(eddy::comm::mpi_comm(s.world()), &size);
  CHECK(size == s.size());
}

TEST_CASE("threads: as asked, or OMP_NUM_THREADS, or a share of the cores") {
  Session s;
  CHECK(s.set_threads(3) == 3);
  CHECK(omp_get_max_threads() == 3);
  const char* variable = std::getenv("OMP_NUM_THREADS");
  const std::string before = variable ? variable : "";
  unsetenv("OMP_NUM_THREADS");
  const int share = s.set_threads(0);
  CHECK(share >= 1);
  CHECK(share * (s.size() == 1 ? 1 : 2) <= std::max(omp_get_num_procs(), 2));
  CHECK(omp_get_max_threads() == share);
  setenv("OMP_NUM_THREADS", before.empty() ? "1" : before.c_str(), 1);
  CHECK(s.set_threads(1) == 1);
  CHECK_THROWS_AS(s.set_threads(-1), eddy::Error);
}
