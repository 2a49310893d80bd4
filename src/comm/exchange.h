#pragma once
// Direct messages between all ranks of a group at once: the base of the collectives that MPI cannot count.
#include <mpi.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::comm {

constexpr int kInternalTag = 0;  ///< messages of collectives; tags of isend and recv are shifted by one

/// Some elements for, or from, one rank.
struct Block {
  void* data;
  std::size_t count;
  int peer;
};

/// Appends to `requests` the non-blocking sends (receives) of a block, in pieces of `largest` elements. A block without
/// elements is one empty message.
void start_send(const Block& block, Dtype dtype, int tag, MPI_Comm comm, std::size_t largest,
                std::vector<MPI_Request>& requests);
void start_receive(const Block& block, Dtype dtype, int tag, MPI_Comm comm, std::size_t largest,
                   std::vector<MPI_Request>& requests);

/// Sends and receives all blocks that have elements, and waits. `where` names the operation in errors.
void exchange(std::span<const Block> sends, std::span<const Block> receives, Dtype dtype, MPI_Comm comm,
              std::size_t largest, const std::string& where);

}  // namespace eddy::comm
