#include "comm/exchange.h"

#include <algorithm>

#include "comm/mpi_handle.h"

namespace eddy::comm {
namespace {

/// Calls piece(address, count) for the block's pieces.
template <class F>
void pieces(const Block& block, Dtype dtype, std::size_t largest, F&& piece) {
  auto* data = static_cast<std::byte*>(block.data);
  std::size_t left = block.count;
  do {
    const std::size_t now = std::min(left, largest);
    piece(data, static_cast<int>(now));
    data += now * size_of(dtype);
    left -= now;
  } while (left > 0);
}

}  // namespace

void start_send(const Block& block, Dtype dtype, int tag, MPI_Comm comm, std::size_t largest,
                std::vector<MPI_Request>& requests) {
  pieces(block, dtype, largest, [&](void* data, int count) {
    check(MPI_Isend(data, count, mpi_type(dtype), block.peer, tag, comm, &requests.emplace_back()));
  });
}

void start_receive(const Block& block, Dtype dtype, int tag, MPI_Comm comm, std::size_t largest,
                   std::vector<MPI_Request>& requests) {
  pieces(block, dtype, largest, [&](void* data, int count) {
    check(MPI_Irecv(data, count, mpi_type(dtype), block.peer, tag, comm, &requests.emplace_back()));
  });
}

void exchange(std::span<const Block> sends, std::span<const Block> receives, Dtype dtype, MPI_Comm comm,
              std::size_t largest, const std::string& where) {
  std::vector<MPI_Request> requests;
  for (const Block& b : receives)
    if (b.count > 0) start_receive(b, dtype, kInternalTag, comm, largest, requests);
  for (const Block& b : sends)
    if (b.count > 0) start_send(b, dtype, kInternalTag, comm, largest, requests);
  check(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE), where);
}

}  // namespace eddy::comm
