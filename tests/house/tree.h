#pragma once
// What the project's tree looks like: the top level, the tests' folders, no paths of one machine, no long sources.
#include <filesystem>
#include <string>
#include <vector>

namespace eddy_test {
/// What is wrong below `root`, one line each, sorted; `files` counts the files read.
std::vector<std::string> check_tree(const std::filesystem::path& root, int& files);
}  // namespace eddy_test
