#pragma once
// A rank's share of a save on the disk, and the manifest that ends it. No messages between ranks: any thread may run
// these.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/plan.h"
#include "checkpoint/staged_copy.h"
#include "io/file_system.h"

namespace eddy::checkpoint {

/// Writes this rank's blocks into its file in `folder` and syncs it; where it leads the file, HDF5's records too.
/// The blocks' bytes are taken from the `staged` copy where there is one, and compared with its checksums. Returns the
/// xxh3 of each block that has elements. Throws Error (status 1).
std::vector<std::uint64_t> write_blocks(io::FileSystem& files, const std::filesystem::path& folder, const Plan& plan,
                                        const std::vector<tensor::Slice>& owned, const SaveOptions& options,
                                        const StagedCopy* staged = nullptr);

/// Rank 0, when all data are on the disk: attachments and manifest into `unfinished`, which then gets the name `dir`.
void commit(io::FileSystem& files, const std::filesystem::path& unfinished, const std::filesystem::path& dir,
            Manifest& manifest, const std::vector<std::filesystem::path>& attachments);

}  // namespace eddy::checkpoint
