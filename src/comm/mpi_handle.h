#pragma once
// Owned MPI handles. Freeing a communicator is collective, so nothing is freed while an exception unwinds: the other
// ranks may be elsewhere, and the process is about to end anyway.
#include <mpi.h>

#include <source_location>
#include <string>
#include <utility>

#include "base/dtype.h"

namespace eddy::comm {

/// True between MPI_Init and MPI_Finalize.
bool mpi_running();

/// Throws Error (status 1) with MPI's text and `where` (operation and group) unless `code` is MPI_SUCCESS.
void check(int code, const std::string& where);
inline void check(int code, std::source_location at = std::source_location::current()) {
  if (code != MPI_SUCCESS) check(code, std::string(at.function_name()));
}

/// How elements travel; bf16 and f8e4m3 go as the integers of their width.
MPI_Datatype mpi_type(Dtype dtype);

/// A communicator handle, freed at the end.
class MpiHandle {
 public:
  MpiHandle() = default;
  explicit MpiHandle(MPI_Comm comm) : comm_(comm) {}
  MpiHandle(MpiHandle&& o) noexcept : comm_(std::exchange(o.comm_, MPI_COMM_NULL)) {}
  MpiHandle& operator=(MpiHandle&& o) noexcept {
    std::swap(comm_, o.comm_);
    return *this;
  }
  ~MpiHandle();
  MPI_Comm get() const { return comm_; }
  explicit operator bool() const { return comm_ != MPI_COMM_NULL; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

}  // namespace eddy::comm
