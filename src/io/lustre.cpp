#include "io/lustre.h"

#include <atomic>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/process.h"

namespace eddy::io {

void set_stripes(const FileSystem& files, const std::filesystem::path& folder, const Stripes& stripes) {
  if (!stripes.given() || files.type(folder) != kLustre) return;
  std::vector<std::string> command{"lfs", "setstripe"};
  if (stripes.count != 0) command.insert(command.end(), {"-c", std::to_string(stripes.count)});
  if (stripes.size != 0) command.insert(command.end(), {"-S", std::to_string(stripes.size)});
  command.push_back(folder.string());
  const ProgramResult result = run_program(command);
  if (result.status == 0) return;
  static std::atomic<bool> told = false;
  if (told.exchange(true)) return;
  log::warning("{} cannot be striped: {}; checkpoints are written with the stripes that the folder has",
               folder.string(),
               result.status == 127 ? "the program lfs is not in PATH"
                                    : fmt::format("{} ended with {}{}{}", fmt::join(command, " "), result.status,
                                                  result.output.empty() ? "" : ": ", result.output));
}

}  // namespace eddy::io
