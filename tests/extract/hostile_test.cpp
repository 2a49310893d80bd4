// Sources and archives made to exhaust: each ends within the limits. What is searched in vain, expanded, printed and
// loaded is counted here; without the limits the sources at the end would take minutes each.
#include <algorithm>

#include "catch.h"
#include "extract/article.h"
#include "extract/latex.h"
#include "extract/source_scan.h"
#include "extract/tex_macros.h"

using namespace eddy::extract;

namespace {
std::string repeated(std::string_view part, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += part;
  return out;
}
const Loader kNone = [](const std::string&) { return std::optional<std::string>(); };
std::string text(const std::string& source) {
  return extract_latex({{source}}, kNone).text();
}
}  // namespace

TEST_CASE("what is searched in vain has a limit") {
  constexpr std::uint64_t kBudget = 1 << 20;
  constexpr std::size_t kTimes = 30'000;
  const auto read = [&](std::string_view part, const auto& step) {
    tex::Reader in(kBudget);
    REQUIRE(in.push_file(repeated(part, kTimes).substr(0, kBudget), "", false));
    std::size_t searches = 0;
    for (; in.peek() != tex::Reader::kEnd; ++searches) step(in);
    CHECK(in.in_vain() < 2 * kBudget + searches * tex::Reader::kWindow);
    CHECK(in.in_vain() > kBudget);
  };
  read("{a\n\n", [](tex::Reader& in) { in.argument(), in.get(); });
  read("\\a[", [](tex::Reader& in) { in.get(), in.get(), in.optional_argument(), in.get(); });
  read("\\x ", [](tex::Reader& in) { in.until("\\end"), in.get(); });
  read("\\x ", [](tex::Reader& in) { in.holds("\\end"), in.get(); });
  read("\\x ", [](tex::Reader& in) { in.delimited("\\end"), in.get(); });
  tex::Reader in(kBudget);
  REQUIRE(in.push_file("{" + repeated("a ", 10'000) + "}", "", false));
  CHECK(in.argument().size() == 20'000);  // and what is found is found, however far
  CHECK(in.in_vain() == 0);
}

TEST_CASE("an expansion that no reader takes is not built") {
  tex::Macro macro{.parameters = {{}}, .body = repeated("#1", 4000)};
  std::string passed;
  const auto expanded = [&](const std::string& source) {
    tex::Reader in(1 << 30);
    REQUIRE(in.push_file(source, "", false));
    return tex::expansion(macro, in, passed).value().size();
  };
  CHECK(expanded("{" + repeated("x ", 1000) + "}") == 8'000'000);
  CHECK(expanded("{" + repeated("x ", 2000) + "}") == 0);
  tex::Macros macros;
  macros.define("a", macro);
  macros.alias("b", "a");
  CHECK(macros.find("b") == macros.find("a"));  // copies would be a copy of the body each
}

TEST_CASE("names and numbers that are repeated are short") {
  const std::string big = repeated("x", 10'000);
  CHECK(text("$a\\tag{" + big + "}\\label{a}$ " + repeated("\\ref{a} ", 100)).size() < 15'000);
  CHECK(text("\\begin{itemize}\\item[" + big + "]\\label{a}" + repeated("\\ref{a} ", 100)).size() < 15'000);
  CHECK(text("\\newtheorem{t}{" + big + "}" + repeated("\\begin{t}a\\end{t}", 100)).size() < 3000);
  CHECK(text("\\declaretheorem[name=" + big + "]{t}" + repeated("\\begin{t}a\\end{t}", 100)).size() < 3000);
  CHECK(text("\\captionof{" + big + "}{b}\\label{a} " + repeated("\\cref{a} ", 100)).size() < 25'000);
  CHECK(text("\\newtheorem{t}{My Theorem}\\begin{t}a\\end{t}") == "My theorem 1. a\n");
}

TEST_CASE("files are loaded within the budget, and no more of them behind it") {
  int loads = 0;
  const Loader load = [&](const std::string& name) -> std::optional<std::string> {
    if (!name.starts_with("big") || name.ends_with(".sty")) return std::nullopt;
    ++loads;
    return repeated("word ", 200'000);
  };
  for (const char* command : {"\\input{big} ", "\\verbatiminput{big} "}) {
    loads = 0;
    const Article article = extract_latex({{repeated(command, 5000)}}, load);
    CHECK(loads < 100);
    CHECK(article.text().size() < 80 << 20);
    CHECK(article.unresolved > 4900);
  }
}

TEST_CASE("an archive's main files share one budget") {
  std::string bomb = "\\documentclass{a}\\def\\a{xxxxxxxxxx}";
  for (char c = 'b'; c < 'i'; ++c)
    bomb += std::string("\\def\\") + c + '{' + repeated(std::string("\\") + static_cast<char>(c - 1), 10) + '}';
  bomb += "\\begin{document}\\h\\end{document}";
  const std::string once = extract_latex({{bomb}}, kNone).text();
  CHECK(once.size() > 800'000);
  std::string many = bomb;
  many.insert(many.find("\\h\\end"), repeated("\\h ", 20));
  CHECK(extract_latex({{many}, {many}, {many}}, kNone).text().size() < 70 << 20);
}

TEST_CASE("sources that were quadratic") {
  constexpr std::size_t kBytes = 1 << 20;
  const auto filled = [](std::string_view part) { return repeated(part, kBytes / part.size()); };
  for (const char* part :
       {"\\emph{a\n\n", "\\foo{a\n\n", "\\foo[a", "\\\\[a", "\\begin{verbatim} a\n", "\\begin{tikzpicture} a\n",
        "\\iffalse a\n", "\\ifnum1=1 a\\else b\n", "\\csname a ", "\\ifcsname a ", "\\title a ", "\\abstract a ",
        "\\proclaim a", "\\proclaim a. b\n\n", "\\section{a\n\n", "\\cite[a", "\\begin{"}) {
    INFO(part);
    CHECK(text(filled(part)).size() < 2 * kBytes);
    CHECK(text("\\documentclass{a}\\begin{document}" + filled(part)).size() < 2 * kBytes);
  }
  CHECK(text("\\def\\a#1STOP{x}" + filled("\\a x ")).size() < kBytes);
  CHECK(text("\\def\\a#1{" + filled("#1") + "}\\a{xx}").size() < 9 << 20);
  CHECK(text("\\def\\a{" + filled("x") + "}" + filled("\\let\\b\\a")).size() < kBytes);
  CHECK(text("\\def\\a{" + filled("x ") + "}" + filled("\\a")).size() < 130 << 20);
  CHECK(text("\\newenvironment{itemize}{" + filled("x ") + "}{}" + filled("\\begin{itemize}")).size() < kBytes);
  std::string counters;
  for (int i = 0; counters.size() < kBytes; ++i) counters += "\\newtheorem{t" + std::to_string(i) + "}{T}[section]\n";
  CHECK(text(counters + filled("\\section{a}")).size() < 3 * kBytes);
  CHECK(text("\\caption{" + filled("a\n\n") + "}").starts_with("Figure 1: a a a"));
  CHECK(strip_comments(filled("\\begin{")).size() == filled("\\begin{").size());
  CHECK(strip_comments(filled("\\verb|a|")) == filled("\\verb|a|"));
  CHECK(input_names(filled("\\input{")).empty());
}
