// Programs run and waited for.
#include "base/process.h"

#include "catch.h"

using namespace eddy;

TEST_CASE("a program's status and what it says") {
  const auto said = run_program({"sh", "-c", "echo out; echo error >&2; exit 3"});
  CHECK(said.status == 3);
  CHECK(said.output == "out\nerror");
  CHECK(run_program({"true"}).status == 0);
  CHECK(run_program({"sh", "-c", "kill -9 $$"}).status == 128 + 9);
  CHECK(run_program({"no-such-program-here"}).status == 127);
  CHECK(run_program({"echo", "a b", "$HOME"}).output == "a b $HOME");  // no shell
  const auto much = run_program({"sh", "-c", "yes | head -c 1000000; exit 4"});
  CHECK(much.status == 4);
  CHECK(much.output.size() <= 4096);
}
