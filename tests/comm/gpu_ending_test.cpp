// How jobs with work on GPUs end: what is enqueued and never done is noticed beside the host, which waits elsewhere.
#include <string>

#include "catch.h"
#include "device/gpu.h"
#include "support.h"

namespace {

int gpus() {
  std::string why;
  const int count = eddy::device::gpu_count(&why);
  if (count == 0) eddy_test::skip(why);
  return count;
}
eddy_test::RunResult job(const std::string& way) {
  auto result = eddy_test::run({EDDY_ENDING_PROGRAM, way}, 2, 90);
  UNSCOPED_INFO(way << ": status " << result.status << "\n" << result.err);
  return result;
}
int times(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("NCCL is refused, once and with what to do, where ranks share a GPU") {
  if (gpus() != 1) return;
  const auto e = job("gpu-done");
  CHECK(e.status == 2);
  CHECK(times(e.err, "comm.backend=nccl: ranks 0 and 1 of 2 compute on one GPU (1 GPU in all)") == 1);
  CHECK_THAT(e.err, contains_text("comm.backend=mpi"));
}

TEST_CASE("by way of the host, an operation that a rank never comes to ends the job") {
  if (gpus() == 0) return;
  const auto e = job("gpu-staged-hang");
  CHECK(e.status == 1);
  CHECK(times(e.err, "all_reduce on world has not returned for ") == 1);
}

TEST_CASE("NCCL: a job that ends well, one that hangs on the GPU, one whose rank throws") {
  if (gpus() < 2) return;
  CHECK(job("gpu-done").status == 0);
  const auto hang = job("gpu-hang");
  CHECK(hang.status == 1);
  CHECK(times(hang.err, "all_reduce on world has not ended on the GPU for 2.") == 1);
  CHECK_THAT(hang.err, contains_text("rank 0 of 2 in that group"));
  const auto recv = job("gpu-recv-hang");
  CHECK(recv.status == 1);
  CHECK(times(recv.err, "recv on pp{0,1} has not ended on the GPU for 2.") == 1);
  const auto thrown = job("gpu-throws");
  CHECK(thrown.status == 1);
  CHECK(times(thrown.err, "something broke beside a GPU (rank 1 on host ") == 1);
}
