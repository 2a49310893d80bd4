#pragma once
// The layers of the code (docs/architecture.md) and the #includes that break them.
#include <filesystem>
#include <string>
#include <vector>

namespace eddy_test {
struct Layering {
  std::vector<std::string> breaches;  ///< "src/model/moe.cpp:12: includes train/step.h ..."
  int files = 0, includes = 0;        ///< how much was read: sources, and #includes of the project's own headers
};
/// Reads every #include of the sources under src/, kernels/ and tools/ below `root`.
Layering check_layers(const std::filesystem::path& root);
}  // namespace eddy_test
