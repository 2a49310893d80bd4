#pragma once
// A file driver of HDF5 that keeps what HDF5 writes in memory: its records only, however large the datasets are.
#include <hdf5.h>

#include "io/hdf5.h"

namespace eddy::io::detail {

/// Has files created with this access list laid out in `image`, which must outlive them. False where HDF5 refuses.
bool use_image(hid_t access_list, H5Image& image);

}  // namespace eddy::io::detail
