#include "layers.h"

#include <algorithm>
#include <fstream>
#include <regex>

namespace eddy_test {
namespace fs = std::filesystem;
namespace {

using Names = std::vector<std::string>;

// From the bottom up. A folder includes itself and folders of lower lines; folders of one line do not see each other.
const std::vector<Names> kLines = {
    {"base"},
    {"device"},
    {"comm"},
    {"io"},
    {"net"},
    {"crawl", "extract", "text", "tokenize"},
    {"shard"},
    {"tensor"},
    {"kernels"},
    {"parallel", "hf"},
    {"model"},
    {"pipeline", "checkpoint", "optim"},
    {"generate", "plan"},
    {"train"},
    {"tools"},
};
// What a folder may see on its own line.
struct Arrow {
  std::string from, to;
};
const std::vector<Arrow> kArrows = {{"extract", "text"}};  // docs/decisions/0002-extract-cleans.md
// What a folder must not see although it stands lower.
struct Blind {
  std::string folder;
  Names hidden;
};
const std::vector<Blind> kBlind = {
    // math on views: no communicator, no files, no documents
    {"kernels", {"comm", "io", "net", "crawl", "extract", "text", "tokenize", "shard"}},
    // parameter descriptors and byte slices only
    {"checkpoint", {"model"}},
};

int line_of(const std::string& folder) {
  for (std::size_t i = 0; i < kLines.size(); ++i)
    if (std::find(kLines[i].begin(), kLines[i].end(), folder) != kLines[i].end()) return static_cast<int>(i);
  return -1;
}

/// Why `folder` may not include a header of `other`; empty if it may.
std::string forbidden(const std::string& folder, const std::string& other) {
  if (folder == other) return "";
  for (const auto& arrow : kArrows)
    if (arrow.from == folder && arrow.to == other) return "";
  if (line_of(other) == line_of(folder)) return "stands on the same line";
  if (line_of(other) > line_of(folder)) return "stands higher";
  for (const auto& blind : kBlind)
    if (blind.folder == folder && std::find(blind.hidden.begin(), blind.hidden.end(), other) != blind.hidden.end())
      return "is not for " + folder + " to see";
  return "";
}

void check_file(const fs::path& root, const fs::path& file, const std::string& folder, Layering& result) {
  static const std::regex include(R"re(\s*#\s*include\s*(["<])([^">]+)[">].*)re");
  std::ifstream in(file);
  std::string text;
  ++result.files;
  for (int number = 1; std::getline(in, text); ++number) {
    std::smatch match;
    if (!std::regex_match(text, match, include)) continue;
    const std::string name = match[2], other = name.substr(0, name.find('/'));
    const auto report = [&](const std::string& why) {
      result.breaches.push_back(fs::relative(file, root).string() + ":" + std::to_string(number) + ": includes " +
                                name + ", but " + why);
    };
    if (folder == "tools" && fs::exists(file.parent_path() / name)) continue;  // programs share headers beside them
    if (name.find('/') == std::string::npos || line_of(other) < 0) {
      if (match[1] == "\"") report("a header of ours is named from src/ or the project's root: \"folder/file.h\"");
      continue;  // the system's or a library's
    }
    if (!fs::exists(root / "src" / name) && !fs::exists(root / name)) {
      if (match[1] == "\"") report("there is no such file");
      continue;
    }
    ++result.includes;
    if (const std::string why = forbidden(folder, other); !why.empty()) report(other + " " + why);
  }
}

void check_folder(const fs::path& root, const fs::path& path, const std::string& folder, Layering& result) {
  if (line_of(folder) < 0) {
    result.breaches.push_back(fs::relative(path, root).string() +
                              ": not in the table of layers (tests/house/layers.cpp)");
    return;
  }
  static const Names kinds = {".h", ".cpp", ".cu", ".cuh"};
  for (const auto& e : fs::recursive_directory_iterator(path))
    if (e.is_regular_file() && std::find(kinds.begin(), kinds.end(), e.path().extension()) != kinds.end())
      check_file(root, e.path(), folder, result);
}

}  // namespace

Layering check_layers(const fs::path& root) {
  Layering result;
  for (const auto& e : fs::directory_iterator(root / "src"))
    if (e.is_directory()) check_folder(root, e.path(), e.path().filename(), result);
  for (const std::string folder : {"kernels", "tools"})
    if (fs::exists(root / folder)) check_folder(root, root / folder, folder, result);
  std::sort(result.breaches.begin(), result.breaches.end());
  return result;
}

}  // namespace eddy_test
