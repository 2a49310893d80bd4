#pragma once
// One data file: its tensors' slices as HDF5 datasets, laid out without touching a disk.
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "io/hdf5.h"

namespace eddy::checkpoint {

/// Slices of a tensor that lie in one file; `slices` by `begin`, ascending.
struct FileLayout {
  std::vector<StoredTensor> tensors;  ///< by name, ascending
  DataFile file;
  io::H5Image records;
};

/// Gives every slice its offset in the file, and the file its size, its checksums' place and its structure's hash.
/// Slices that follow one another in a tensor become one dataset, "group/name" where it is the whole tensor, else
/// "group/name@b0,b1,…" with the indices of its first element.
void lay_out(FileLayout& layout);

}  // namespace eddy::checkpoint
