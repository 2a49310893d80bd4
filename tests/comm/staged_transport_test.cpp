// comm.backend=mpi without a GPU: its "device" is the host.
#include "comm/staged_transport.h"

#include "comm/mpi_communicator.h"
#include "comm/session.h"
#include "transport_cases.h"

using namespace eddy::comm;

TEST_CASE("staged operations give what the host's give") {
  Session session;
  session.set_timeout(100);
  Communicator& world = session.world();
  const auto staged = staged_transport(world);
  CHECK(std::string(staged->name()) == "mpi");
  const eddy::device::Stream host;
  eddy_test::every_operation(world, *staged, host);
  eddy_test::messages(world, *staged, host);
}
