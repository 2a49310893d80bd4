// Documents from files: kinds, LaTeX trees, PDF by the helper program, and what is wrong with them.
#include "extract/file.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "catch.h"
#include "extract/pdf.h"
#include "small_pdf.h"
#include "support.h"

using namespace eddy::extract;
using eddy_test::small_pdf;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

namespace {
fs::path helper() {
  const char* bin = std::getenv("EDDY_BIN_DIR");
  const fs::path program = fs::path(bin ? bin : "bin") / "eddy-pdf-text";
  return fs::exists(program) ? program : fs::path();
}
Outcome plain(const fs::path& p) {
  return extract_file(p, Kind::plain, p.parent_path(), {});
}
Outcome tex(const fs::path& p, const fs::path& root) {
  return extract_file(p, Kind::latex, root, {});
}
}  // namespace

TEST_CASE("kinds by ending") {
  CHECK(kind_of("a/b.TeX") == Kind::latex);
  CHECK(kind_of("b.md") == Kind::plain);
  CHECK(kind_of("b.c.pdf") == Kind::pdf);
  CHECK(kind_of("b.jsonl") == Kind::jsonl);
  CHECK_FALSE(kind_of("b.txt.gz"));
  CHECK_FALSE(kind_of("Makefile"));
}

TEST_CASE("text files are cleaned, and rejected with a reason") {
  TempDir dir;
  write_file(dir / "a.md", "# Title\r\n\r\ntext\n");
  CHECK(plain(dir / "a.md").text == "# Title\n\ntext\n");
  write_file(dir / "blank.txt", " \n\t\n");
  CHECK(plain(dir / "blank.txt").reason == "no text");
  write_file(dir / "latin.txt", "\xE9t\xE9 et na\xEFve");
  CHECK(plain(dir / "latin.txt").reason == "not UTF-8");
  write_file(dir / "one.txt", "caf\xE9" + std::string(200, 'x'));
  CHECK(plain(dir / "one.txt").invalid_utf8 == 1);
  CHECK(plain(dir / "one.txt").text.substr(0, 6) == "caf\uFFFD");
  write_file(dir / "binary.txt", std::string(100, '\1') + "abc");
  CHECK(plain(dir / "binary.txt").reason == "not text");
  CHECK(plain(dir / "none.txt").reason == "cannot be read");
}

TEST_CASE("a LaTeX tree: inputs within the root only, parts found") {
  TempDir dir;
  const fs::path root = dir / "paper";
  fs::create_directories(root / "chapters");
  write_file(dir / "secret.tex", "secret");
  write_file(root / "main.tex",
             "\\begin{document}Main \\input{chapters/one}\\input{../secret}\\input{/etc/hostname}\\end{document}");
  write_file(root / "chapters" / "one.tex", "One \\input{chapters/two}");
  write_file(root / "chapters" / "two.tex", "Two");
  write_file(root / "macros.tex", "\\def\\a{b}\n\\def\\c{d}\n");
  const Outcome o = tex(root / "main.tex", root);
  CHECK(o.text == "Main One Two\n");
  CHECK(o.unresolved_inputs == 2);
  CHECK(tex(root / "macros.tex", root).reason == "LaTeX: macros, no text");
  const TexLinks links = tex_links(root / "main.tex", root);
  CHECK(links.main);
  REQUIRE(links.inputs.size() == 2);
  CHECK(links.inputs[1].filename() == "two.tex");
  CHECK_FALSE(tex_links(root / "chapters" / "one.tex", root).main);
}

TEST_CASE("parts of other files") {
  // 0 main -> 1 -> 2; 3 <-> 4 with no way in; 5 draws in itself; 6 main, drawn in by 0
  const std::vector<bool> parts =
      parts_of_others({true, false, false, false, false, false, true}, {{1, 6}, {2}, {}, {4}, {3}, {5}, {}});
  CHECK(parts == std::vector<bool>{false, true, true, false, true, false, false});
}

TEST_CASE("PDF through the helper program") {
  if (helper().empty()) return eddy_test::skip("eddy-pdf-text is not built (no poppler)");
  TempDir dir;
  write_file(dir / "a.pdf", small_pdf("Every even number is the sum of two primes"));
  const Outcome good = extract_file(dir / "a.pdf", Kind::pdf, dir.path(), helper());
  CHECK(good.reason == "");
  CHECK(good.text.find("Every even number is the sum of two primes") != std::string::npos);
  write_file(dir / "empty.pdf", small_pdf(""));
  CHECK(extract_file(dir / "empty.pdf", Kind::pdf, dir.path(), helper()).reason == "PDF: no text layer");
  write_file(dir / "damaged.pdf", "%PDF-1.4\nthis is not a PDF");
  CHECK(extract_file(dir / "damaged.pdf", Kind::pdf, dir.path(), helper()).reason == "PDF: damaged");
}

TEST_CASE("a PDF reader that hangs, crashes or floods is stopped") {
  TempDir dir;
  const auto program = [&](const std::string& name, const std::string& script) {
    write_file(dir / name, "#!/bin/sh\n" + script + "\n");
    fs::permissions(dir / name, fs::perms::owner_all);
    return dir / name;
  };
  const auto begin = std::chrono::steady_clock::now();
  CHECK(extract_pdf("x.pdf", program("hang", "exec sleep 30"), {.seconds = 0.2}).reason == "PDF: takes too long");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  const Outcome crash = extract_pdf("x.pdf", program("crash", "kill -SEGV $$"));
  CHECK(crash.reason == "PDF: its reader crashed");
  CHECK(crash.detail == "signal 11");
  CHECK(extract_pdf("x.pdf", program("flood", "while :; do echo 0123456789; done"), {.text_bytes = 1000}).reason ==
        "PDF: too much text");
  CHECK(extract_pdf("x.pdf", program("locked", "exit 3")).reason == "PDF: encrypted");
  CHECK(extract_pdf("x.pdf", {}).reason == "PDF: this build has no eddy-pdf-text");
#ifndef __SANITIZE_ADDRESS__
  const Outcome hungry = extract_pdf("x.pdf", program("hungry", "x=0123456789abcdef; while :; do x=$x$x; done"),
                                     {.memory_bytes = 64 << 20});
  CHECK(hungry.reason == "PDF: its reader crashed");
#endif
}
