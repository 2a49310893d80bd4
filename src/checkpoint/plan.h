#pragma once
// Where a save puts everything: which file holds which blocks, at which offsets. The same for every save of the same
// blocks, so that a run makes it once.
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "comm/communicator.h"
#include "io/hdf5.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

struct Plan {
  struct Place {
    std::uint64_t offset = 0, first_chunk = 0;  ///< in this rank's file
  };
  std::vector<Place> places;  ///< of this rank's blocks, in their order
  DataFile file;              ///< this rank's
  bool leads = false;         ///< this rank makes the file: it writes ...
  io::H5Image records;        ///< ... HDF5's records

  // On rank 0:
  Manifest manifest;  ///< without meta, attachments and hashes of slices
  struct Target {
    std::uint32_t tensor = 0, slice = 0;  ///< in the manifest
  };
  std::vector<std::vector<Target>>
      targets;  ///< by rank: what each of its blocks is; those without elements are left out
};

/// Every `ranks_per_file` ranks share a file. Collective. Throws on every rank when names are malformed, ranks
/// contradict one another, or the blocks do not hold each element of a tensor exactly once.
Plan make_plan(comm::Communicator& world, const std::vector<tensor::Slice>& owned, int ranks_per_file);

/// "data.h5" where there is one file, else "data-00007.h5".
std::string data_file_name(int file, int files);

}  // namespace eddy::checkpoint
