#include "tree.h"

#include <algorithm>
#include <regex>
#include <set>

#include "support.h"

namespace eddy_test {
namespace fs = std::filesystem;
namespace {

using Names = std::set<std::string>;

const Names kTop = {"CMakeLists.txt", "src",       "kernels",           "jobs",    "configs",     "tools", "tests",
                    "docs",           "README.md", "CMakePresets.json", "LICENSE", "CHANGELOG.md"};
const Names kIgnored = {"build", "carry"};  // .gitignore's
const Names kHidden = {".ci", ".clang-format", ".clang-tidy", ".gitignore", ".git"};
// Folders of tests that mirror no folder of src/: the house's own, programs as users run them, jobs, makers of
// references.
const Names kOwnTests = {"house",   "tools",  "e2e",      "slurm",  "reference",
                         "kernels", "golden", "fixtures", "faults", "fuzz"};
const Names kSources = {".h", ".cpp", ".cu", ".cuh", ".cmake", ".sh", ".py", ".sbatch", ""};
constexpr int kMostLines = 500;
// In two pieces each, so that this file does not name them.
const std::vector<std::string> kMachinePaths = {std::string("/") + "work/", std::string("/") + "root/"};

/// Relative links of a Markdown page must lead somewhere.
void check_links(const fs::path& root, const fs::path& page, std::vector<std::string>& wrong) {
  static const std::regex link(R"(\]\(([^)#:\s]+)(#[^)]*)?\))");
  const std::string text = read_file(page);
  for (std::sregex_iterator i(text.begin(), text.end(), link), end; i != end; ++i)
    if (!fs::exists(page.parent_path() / (*i)[1].str()))
      wrong.push_back(fs::relative(page, root).string() + ": links to " + (*i)[1].str() + ", which does not exist");
}

void check_file(const fs::path& root, const fs::path& file, std::vector<std::string>& wrong) {
  const std::string text = read_file(file), name = fs::relative(file, root).string();
  for (const auto& path : kMachinePaths)
    if (text.find(path) != std::string::npos) wrong.push_back(name + ": names " + path + ", a path of one machine");
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const bool binary = text.find('\0') != std::string::npos;
  if (file.extension() == ".md") check_links(root, file, wrong);
  if (!binary && lines > kMostLines && (kSources.count(file.extension()) || file.filename() == "CMakeLists.txt"))
    wrong.push_back(name + ": " + std::to_string(lines) + " lines; split what is longer than " +
                    std::to_string(kMostLines));
}

}  // namespace

std::vector<std::string> check_tree(const fs::path& root, int& files) {
  std::vector<std::string> wrong;
  files = 0;
  for (const auto& e : fs::directory_iterator(root)) {
    const std::string name = e.path().filename();
    if (kIgnored.count(name) || name == ".git") continue;
    if (!kTop.count(name) && !kHidden.count(name)) {
      wrong.push_back(name + ": does not belong to the top level");
      continue;
    }
    if (e.is_regular_file()) {
      check_file(root, e.path(), wrong);
      ++files;
      continue;
    }
    for (const auto& below : fs::recursive_directory_iterator(e.path()))
      if (below.is_regular_file() && below.path().string().find("__pycache__") == std::string::npos) {
        check_file(root, below.path(), wrong);
        ++files;
      }
  }
  for (const auto& name : kTop)
    if (!fs::exists(root / name)) wrong.push_back(name + ": missing from the top level");
  if (fs::exists(root / "jobs"))
    for (const auto& e : fs::directory_iterator(root / "jobs"))
      if (e.path().filename() != "slurm")
        wrong.push_back("jobs/" + e.path().filename().string() + ": jobs/ holds slurm/ only");
  if (fs::exists(root / "tests"))
    for (const auto& e : fs::directory_iterator(root / "tests")) {
      const std::string name = e.path().filename();
      if (e.is_directory() && !kOwnTests.count(name) && !fs::exists(root / "src" / name))
        wrong.push_back("tests/" + name + ": mirrors no folder of src/");
    }
  std::sort(wrong.begin(), wrong.end());
  return wrong;
}

}  // namespace eddy_test
