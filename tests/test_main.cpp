// The main of every test: quiet ranks, and an exit status that is the worst of all ranks'.
// A test that ran no assertion on any rank fails ("no test passes by running nothing"), unless it said it skipped (77).
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#ifndef EDDY_CATCH3
#define CATCH_CONFIG_RUNNER
#endif
#include "catch.h"

namespace eddy_test {
bool skipped = false;
}

int main(int argc, char** argv) {
  const bool under_mpi = std::getenv("OMPI_COMM_WORLD_SIZE") || std::getenv("PMIX_RANK") || std::getenv("PMI_RANK");
  int rank = 0;
  if (under_mpi) {
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  }
  Catch::Session session;
  int result = session.applyCommandLine(argc, argv);
  if (result == 0) {
    result = session.run();
    if (result != 0) std::fprintf(stderr, "rank %d: %d failed\n", rank, result);
  }
  if (result > 255) result = 255;
  if (under_mpi) {
    // A rank that failed an assertion may have left others in a collective: those end by the test's time-out.
    int worst = 0;
    MPI_Allreduce(&result, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    result = worst;
    MPI_Finalize();
  }
  if (result == 0 && eddy_test::skipped) return 77;
  return result;
}
