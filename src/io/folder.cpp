#include "io/folder.h"

#include <algorithm>

namespace eddy::io {
namespace fs = std::filesystem;

bool is_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

void commit_folder(FileSystem& files, const fs::path& unfinished, const fs::path& name) {
  if (!fs::exists(name)) return rename_durably(files, unfinished, name);
  if (files.exchange(unfinished, name)) {
    files.sync_folder(name.parent_path());
    return remove_all(files, unfinished);
  }
  const fs::path aside = name.string() + ".old.tmp";
  remove_all(files, aside);
  rename_durably(files, name, aside);
  rename_durably(files, unfinished, name);
  remove_all(files, aside);
}

void commit_folder(const fs::path& unfinished, const fs::path& name) {
  commit_folder(disk(), unfinished, name);
}

}  // namespace eddy::io
