#pragma once
// Helpers of the tests: folders of their own, running programs, saying that a test was skipped.
#include <filesystem>
#include <string>
#include <vector>

namespace eddy_test {
extern bool skipped;  // set when the whole test skipped; the exit status is then 77

/// Says on stdout why a test did not run, and marks it skipped.
void skip(const std::string& why);
/// A fresh folder below the system's temporary one, removed at exit.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};
struct RunResult {
  int status;       ///< exit status; 124 after the time-out
  std::string out;  ///< standard output
  std::string err;  ///< standard error
};
/// Runs a program (argv, no shell), with `ranks` > 0 under mpiexec. Names without a slash are looked up in <build>/bin.
RunResult run(std::vector<std::string> argv, int ranks = 0, int timeout_s = 100);
std::filesystem::path source_dir();  ///< the project's root
std::filesystem::path material();    ///< EDDY_MATERIAL, or empty: then call skip()
std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);
}  // namespace eddy_test
