#pragma once
// Where each tensor of a checkpoint will lie: gathered from the ranks' blocks, laid out as an HDF5 file.
#include <filesystem>
#include <vector>

#include "checkpoint/manifest.h"
#include "comm/communicator.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

/// The tensors that all ranks' blocks belong to, sorted by name, without offsets. Collective; every rank gets the whole
/// list. Throws on every rank when names are malformed, ranks contradict one another, or a tensor's elements are not
/// counted exactly once.
std::vector<Extent> gather_tensors(comm::Communicator& world, const std::vector<tensor::Slice>& owned);

/// Creates the data file with one contiguous dataset a tensor and the one of checksums, reserves its space on the disk,
/// and fills in where everything lies. Throws Error (status 1) when the file cannot be made or the disk is full.
void create_data_file(const std::filesystem::path& path, Manifest& manifest);

}  // namespace eddy::checkpoint
