#include "comm/mpi_handle.h"

#include <exception>

#include "base/error.h"

namespace eddy::comm {

bool mpi_running() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

void check(int code, const std::string& where) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail_run("{}: MPI reports: {}", where, text);
}

MPI_Datatype mpi_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return MPI_FLOAT;
    case Dtype::f64:
      return MPI_DOUBLE;
    case Dtype::bf16:
      return MPI_UINT16_T;
    case Dtype::i32:
      return MPI_INT32_T;
    case Dtype::i64:
      return MPI_INT64_T;
    case Dtype::f8e4m3:
    case Dtype::u8:
      break;
  }
  return MPI_UINT8_T;
}

MpiHandle::~MpiHandle() {
  if (comm_ != MPI_COMM_NULL && std::uncaught_exceptions() == 0 && mpi_running()) MPI_Comm_free(&comm_);
}

}  // namespace eddy::comm
