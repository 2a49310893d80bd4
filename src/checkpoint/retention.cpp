#include <algorithm>
#include <optional>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "io/file.h"
#include "io/file_system.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

/// The step in "step-NNNNNNNN", or nothing.
std::optional<std::uint64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix) || name.size() < kPrefix.size() + 8 || name.size() > kPrefix.size() + 18) return {};
  const std::string digits = name.substr(kPrefix.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos) return {};
  return std::stoull(digits);
}

}  // namespace

bool is_checkpoint(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_regular_file(dir / kManifestFile, ignored);
}

namespace {
std::vector<fs::path> folders(const fs::path& dir, bool with_manifest) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error, ignored;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error))
    if (const auto step = step_of(it->path().filename().string());
        step && is_checkpoint(it->path()) == with_manifest && !fs::is_empty(it->path(), ignored))
      found.emplace_back(*step, it->path());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}
}  // namespace

std::vector<fs::path> list(const fs::path& dir) {
  return folders(dir, true);
}

std::vector<fs::path> without_manifest(const fs::path& dir) {
  return folders(dir, false);
}

void prune(const fs::path& dir, const Retention& retention, io::FileSystem* given) {
  io::FileSystem& files = given ? *given : io::disk();
  const std::vector<fs::path> all = list(dir);
  const std::size_t kept = static_cast<std::size_t>(std::max(retention.keep, 1));
  for (std::size_t i = 0; i + kept < all.size(); ++i) {
    const std::string name = all[i].filename().string();
    if (retention.every > 0 && *step_of(name) % retention.every == 0) continue;
    if (retention.always.filename() == name) continue;
    // first out of the list, in one step, so that a crash leaves no half of a checkpoint under its name
    const fs::path going = all[i].string() + ".tmp";
    io::remove_all(files, going);
    io::rename_durably(files, all[i], going);
  }
  std::vector<fs::path> leftovers;
  std::error_code error, ignored;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error))
    if (it->path().filename().string().starts_with("step-") && it->path().extension() == ".tmp")
      leftovers.push_back(it->path());
  for (const fs::path& path : leftovers) io::remove_all(files, path);
}

fs::path set_aside(const fs::path& checkpoint) {
  const fs::path aside = checkpoint.string() + ".damaged";
  fs::remove_all(aside);
  io::rename_durably(checkpoint, aside);
  return aside;
}

}  // namespace eddy::checkpoint
