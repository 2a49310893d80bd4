#pragma once
#include <filesystem>

#include "io/file_system.h"

namespace eddy::io {

/// Is `path` the folder itself or below it, as the two are written?
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

/// Gives a finished folder its final name, durably: a crash leaves the old folder of that name or the new one. Where
/// the file system can exchange names in one step (Linux's local ones) there is no moment without either; elsewhere the
/// old folder stands for a moment as `<name>.old.tmp`. The old folder is removed (a warning where it cannot be: the new
/// one stands). Throws Error (status 1) naming the folder.
void commit_folder(FileSystem& files, const std::filesystem::path& unfinished, const std::filesystem::path& name);
void commit_folder(const std::filesystem::path& unfinished, const std::filesystem::path& name);  ///< on the disk

}  // namespace eddy::io
