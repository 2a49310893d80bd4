// The top level is the one the design fixes; no file names one machine's paths; no source is long.
#include "tree.h"

#include "catch.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::check_tree;

TEST_CASE("the project's tree") {
  int files = 0;
  const auto wrong = check_tree(eddy_test::source_dir(), files);
  for (const auto& line : wrong) UNSCOPED_INFO(line);
  CHECK(wrong.empty());
  CHECK(files > 100);
}

TEST_CASE("planted faults are found") {
  const eddy_test::TempDir dir;
  for (const char* folder :
       {"src/model", "kernels", "jobs/slurm", "configs", "tools", "tests/model", "tests/house", "docs", "build/x"})
    fs::create_directories(dir / folder);
  for (const char* file :
       {"CMakeLists.txt", "README.md", "CMakePresets.json", "LICENSE", "CHANGELOG.md", ".gitignore", "build/x/a.cpp"})
    eddy_test::write_file(dir / file, "");
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += "x\n";
  eddy_test::write_file(dir / "src/model/fits.cpp", lines);
  eddy_test::write_file(dir / "docs/long.md",
                        lines + lines + "[a](../README.md) [b](long.md#x) [c](https://x.org/y)\n");
  int files = 0;
  CHECK(check_tree(dir.path(), files).empty());
  CHECK(files == 8);

  eddy_test::write_file(dir / "src/model/long.cpp", lines + "x\n");
  eddy_test::write_file(dir / "docs/page.md", std::string("see /") + "work/x\n[gone](none.md)");
  eddy_test::write_file(dir / "notes.txt", "");
  eddy_test::write_file(dir / "build/x/a.cpp", std::string("/") + "root/");
  fs::create_directories(dir / "jobs/pbs");
  fs::create_directories(dir / "tests/other");
  fs::remove(dir / "LICENSE");
  CHECK(check_tree(dir.path(), files) == std::vector<std::string>{
                                             "LICENSE: missing from the top level",
                                             "docs/page.md: links to none.md, which does not exist",
                                             std::string("docs/page.md: names /") + "work/, a path of one machine",
                                             "jobs/pbs: jobs/ holds slurm/ only",
                                             "notes.txt: does not belong to the top level",
                                             "src/model/long.cpp: 501 lines; split what is longer than 500",
                                             "tests/other: mirrors no folder of src/",
                                         });
}
