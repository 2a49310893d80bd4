// LaTeX sources seen from outside.
#include "extract/source_scan.h"

#include "catch.h"

using namespace eddy::extract;

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

TEST_CASE("where a document stands in its source") {
  CHECK(has_document("a\\begin{document}b"));
  CHECK_FALSE(has_document("write(\\\"\\\\begin{document}\\\") in plain TeX"));
  CHECK(document_body("x\\begin{document}say \\verb|\\end{document}| last\\end{document}y") ==
        "say \\verb|\\end{document}| last");
  CHECK(document_body("Hello\\bye ignored") == "Hello");
  CHECK(document_body("Hello\n\\end\nignored") == "Hello\n");
  CHECK(document_body("\\begin{proof}x\\end{proof}y\n") == "\\begin{proof}x\\end{proof}y\n");
  CHECK(input_names("\\input{ a } \\input b} \\include{c}\\input{\\d}\\input e\\f") ==
        std::vector<std::string>{"a", "b", "c", "e"});
}

TEST_CASE("files of macros are told from text") {
  CHECK(is_macro_file("\\def\\a{b}\n\\let\\c=d\nsome line\n"));
  CHECK_FALSE(
      is_macro_file("\\section{Definitions}\nWe write \\def for what\nis defined,\nand go on\nfor many lines.\n"));
  CHECK_FALSE(is_macro_file(""));
}
