#include "io/folder.h"

#include <algorithm>
#include <exception>

#include "base/log.h"

namespace eddy::io {
namespace fs = std::filesystem;

bool is_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

namespace {
/// What has been replaced: the new folder stands already.
void remove_replaced(FileSystem& files, const fs::path& old) {
  try {
    remove_all(files, old);
  } catch (const std::exception& e) {
    log::warning("{} is left, of what was replaced: {}", old.string(), e.what());
  }
}
}  // namespace

void commit_folder(FileSystem& files, const fs::path& unfinished, const fs::path& name) {
  if (!fs::exists(name)) return rename_durably(files, unfinished, name);
  if (files.exchange(unfinished, name)) {
    files.sync_folder(name.parent_path());
    return remove_replaced(files, unfinished);
  }
  const fs::path aside = name.string() + ".old.tmp";
  remove_all(files, aside);
  rename_durably(files, name, aside);
  rename_durably(files, unfinished, name);
  remove_replaced(files, aside);
}

void commit_folder(const fs::path& unfinished, const fs::path& name) {
  commit_folder(disk(), unfinished, name);
}

}  // namespace eddy::io
