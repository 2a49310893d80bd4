#pragma once
// Lustre's stripes: over how many servers' disks a file is spread.
#include <cstdint>
#include <filesystem>

#include "io/file_system.h"

namespace eddy::io {

constexpr std::int64_t kLustre = 0x0BD00BD0;  ///< statfs(2)'s f_type of Lustre

struct Stripes {
  int count = 0;           ///< targets (OSTs) that a file is spread over; 0: as the folder has it, -1: all there are
  std::uint64_t size = 0;  ///< bytes on one target before the next; 0: as the folder has it; a multiple of 64 KiB
  bool given() const { return count != 0 || size != 0; }
};

/// Has the files that will be made in `folder` striped so, where it lies on Lustre, by `lfs setstripe`; elsewhere
/// nothing. Where `lfs` is missing or fails files are as the folder has them: a warning, once in a process.
void set_stripes(const FileSystem& files, const std::filesystem::path& folder, const Stripes& stripes);

}  // namespace eddy::io
