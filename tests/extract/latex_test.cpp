// Plain extraction of LaTeX.
#include "extract/source_scan.h"

#include <map>

#include "catch.h"

using namespace eddy::extract;

namespace {
Loader files(std::map<std::string, std::string> content) {
  return [content](const std::string& name) -> std::optional<std::string> {
    const auto found = content.find(name);
    return found == content.end() ? std::nullopt : std::optional(found->second);
  };
}
std::string body(const std::string& source) {
  return extract_latex(source, files({})).text;
}
}  // namespace

TEST_CASE("comments go as TeX reads them") {
  CHECK(strip_comments("one% two\n  three") == "onethree");
  CHECK(strip_comments("100\\% sure % not\nyes") == "100\\% sure yes");
  CHECK(strip_comments("a\\\\% line break, then a comment\nb") == "a\\\\b");
  CHECK(strip_comments("a\n% whole line\nb") == "a\nb");
  CHECK(strip_comments("a % end of paragraph\n\nb") == "a \n\nb");
  CHECK(strip_comments("\\verb|50%| % c\nx") == "\\verb|50%| x");
  CHECK(strip_comments("\\verbatim% c\nx") == "\\verbatimx");
  CHECK(strip_comments("\\begin{verbatim}\n% kept\n\\end{verbatim}% gone\n") ==
        "\\begin{verbatim}\n% kept\n\\end{verbatim}");
  CHECK(strip_comments("a\\begin{comment}b\\end{comment}c") == "ac");
  CHECK(strip_comments("a\\begin{comment}never closed") == "a");
  CHECK(strip_comments("trailing \\") == "trailing \\");
  CHECK(strip_comments("last % line") == "last ");
}

TEST_CASE("preamble, bibliography and what follows the document go; mathematics stays") {
  const std::string source =
      "\\documentclass{article}\n\\newcommand{\\R}{\\mathbb{R}}\n\\begin{document}\n\\section{On $\\zeta(s)$}\n"
      "Let \\[ \\sum_{n\\ge1} n^{-s} \\] % the "
      "series\nconverge.\n\n\n\n\\bibliographystyle{plain}\n\\bibliography{refs}\n"
      "\\begin{thebibliography}{9}\\bibitem{a} A. Author\n\\end{thebibliography}\n\\end{document}\nnotes to myself";
  CHECK(body(source) == "\\section{On $\\zeta(s)$}\nLet \\[ \\sum_{n\\ge1} n^{-s} \\] converge.\n");
  CHECK(body("\\begin{document}a\\printbibliography[heading=none]b\\end{document}") == "ab\n");
  CHECK(body("\\documentclass{a}\n\\begin{document}say \\verb|\\end{document}| last\\end{document}") ==
        "say \\verb|\\end{document}| last\n");
  CHECK(body("write(\\\"\\\\begin{document}\\\") in plain TeX") == "write(\\\"\\\\begin{document}\\\") in plain TeX\n");
  CHECK(body("\\begin{document}\\bibliographyfoo{x}\\end{document}") == "\\bibliographyfoo{x}\n");
}

TEST_CASE("plain TeX ends at \\bye or \\end") {
  CHECK(body("Hello\\bye ignored") == "Hello\n");
  CHECK(body("Hello\n\\end\nignored") == "Hello\n");
  CHECK(body("\\begin{proof}x\\end{proof}y\n") == "\\begin{proof}x\\end{proof}y\n");
  CHECK(body("% nothing but a comment").empty());
  CHECK(body("").empty());
}

TEST_CASE("inputs are put in place") {
  const Loader load = files({{"a", "A \\input b\n"},
                             {"b", "B % c\n"},
                             {"sub", "\\documentclass{x}\\begin{document}S\\end{document}"},
                             {"macros", "\\def\\x{y}\n\\newcommand{\\z}{w}\n"}});
  const Latex r = extract_latex(
      "\\begin{document}1 \\input{a}2 \\include{none} \\subfile{sub} \\input{macros}\\input{\\jobname}3\\end{document}",
      load);
  CHECK(r.text == "1 A B\n2  S 3\n");
  CHECK(r.unresolved == 2);
  CHECK(extract_latex("\\input{loop}", files({{"loop", "x\\input{loop}"}})).unresolved == 1);  // a circle ends
  CHECK(extract_latex("\\inputencoding{a} \\includegraphics{a}", load).text ==
        "\\inputencoding{a} \\includegraphics{a}\n");
  CHECK(input_names("\\input{ a } \\input b} \\include{c}\\input{\\d}\\input e\\f") ==
        std::vector<std::string>{"a", "b", "c", "e"});
}

TEST_CASE("files of macros are told from text") {
  CHECK(is_macro_file("\\def\\a{b}\n\\let\\c=d\nsome line\n"));
  CHECK_FALSE(
      is_macro_file("\\section{Definitions}\nWe write \\def for what\nis defined,\nand go on\nfor many lines.\n"));
  CHECK_FALSE(is_macro_file(""));
}
