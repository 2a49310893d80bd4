// The trainer; MPI, one process a rank.
#include "comm/session.h"
#include "train/program.h"

int main(int argc, char** argv) {
  return eddy::comm::run_mpi_main("eddy-train", argc, argv, [&](eddy::comm::Session& session) {
    return eddy::train::program(session, argc, argv);
  });
}
