// No folder includes a higher one; and the check itself finds every kind of breach when one is planted.
#include "catch.h"
#include "layers.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::check_layers;

namespace {
std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}
void plant(const eddy_test::TempDir& dir, const std::string& file, const std::string& text) {
  fs::create_directories((dir / file).parent_path());
  eddy_test::write_file(dir / file, text);
}
}  // namespace

TEST_CASE("the project keeps its layers") {
  const auto result = check_layers(eddy_test::source_dir());
  INFO(joined(result.breaches));
  CHECK(result.breaches.empty());
  CHECK(result.files > 100);
  CHECK(result.includes > 200);
}

TEST_CASE("planted breaches are found") {
  const eddy_test::TempDir dir;
  for (const char* header : {"src/base/a.h", "src/model/a.h", "src/comm/a.h", "src/optim/a.h", "src/text/a.h",
                             "src/extract/a.h", "kernels/gemm/a.h"})
    plant(dir, header, "#pragma once\n");
  plant(dir, "src/train/good.cpp",
        "#include <vector>\n#include <sys/stat.h>\n#include \"model/a.h\"\n#include \"kernels/gemm/a.h\"\n");
  plant(dir, "src/model/good.h", "#include \"model/a.h\"\n  #  include <base/a.h>\n// #include \"train/a.h\"\n");
  plant(dir, "src/extract/good.cpp", "#include \"text/a.h\"\n");
  plant(dir, "tools/eddy_x.cpp", "#include \"x.h\"\n");
  plant(dir, "tools/x.h", "#pragma once\n");
  CHECK(joined(check_layers(dir.path()).breaches).empty());
  CHECK(check_layers(dir.path()).includes == 5);

  plant(dir, "src/base/up.h", "\n#include \"model/a.h\"  // higher\n");
  plant(dir, "src/checkpoint/beside.cpp", "#include \"optim/a.h\"\n");
  plant(dir, "src/checkpoint/blind.cpp", "#include <model/a.h>\n");
  plant(dir, "kernels/gemm/gemm_cpu.cpp",
        "#include \"comm/a.h\"\n#include \"kernels/gemm/a.h\"\n#include \"model/a.h\"\n");
  plant(dir, "src/model/near.cpp", "#include \"a.h\"\n#include \"base/none.h\"\n");
  plant(dir, "src/text/beside.cpp", "#include \"extract/a.h\"\n");
  plant(dir, "src/odd/x.h", "");
  CHECK(check_layers(dir.path()).breaches ==
        std::vector<std::string>{
            "kernels/gemm/gemm_cpu.cpp:1: includes comm/a.h, but comm is not for kernels to see",
            "kernels/gemm/gemm_cpu.cpp:3: includes model/a.h, but model stands higher",
            "src/base/up.h:2: includes model/a.h, but model stands higher",
            "src/checkpoint/beside.cpp:1: includes optim/a.h, but optim stands on the same line",
            "src/checkpoint/blind.cpp:1: includes model/a.h, but model is not for checkpoint to see",
            "src/model/near.cpp:1: includes a.h, but a header of ours is named from src/ or the project's root: "
            "\"folder/file.h\"",
            "src/model/near.cpp:2: includes base/none.h, but there is no such file",
            "src/odd: not in the table of layers (tests/house/layers.cpp)",
            "src/text/beside.cpp:1: includes extract/a.h, but extract stands on the same line",
        });
}
