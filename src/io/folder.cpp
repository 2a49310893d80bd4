#include "io/folder.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2

#include "io/file.h"

namespace eddy::io {
namespace fs = std::filesystem;

void commit_folder(const fs::path& unfinished, const fs::path& name) {
  if (!fs::exists(name)) return rename_durably(unfinished, name);
  if (::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, name.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(name.parent_path());
    fs::remove_all(unfinished);
    return;
  }
  const fs::path aside = name.string() + ".old.tmp";
  fs::remove_all(aside);
  rename_durably(name, aside);
  rename_durably(unfinished, name);
  fs::remove_all(aside);
}

}  // namespace eddy::io
