// No equation is lost: against real papers by a checker of its own (tests/reference/check_equations.py), and for
// planted equations token for token.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "extract/latex.h"
#include "support.h"

using namespace eddy::extract;
namespace fs = std::filesystem;

namespace {
/// TeX's tokens: control words, control symbols, characters; blanks are none.
std::vector<std::string> tokens(const std::string& s) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < s.size();) {
    std::size_t n = 1;
    if (s[i] == '\\' && i + 1 < s.size()) {
      n = 2;
      if (std::isalpha(static_cast<unsigned char>(s[i + 1])))
        while (i + n < s.size() && std::isalpha(static_cast<unsigned char>(s[i + n]))) ++n;
    }
    if (!std::isspace(static_cast<unsigned char>(s[i]))) out.push_back(s.substr(i, n));
    i += n;
  }
  return out;
}
}  // namespace

TEST_CASE("planted equations survive token for token") {
  const std::vector<std::string> planted{
      R"(\zeta(s) = \sum_{n=1}^{\infty} \frac{1}{n^s} = \prod_p \left(1 - p^{-s}\right)^{-1})",
      R"(\partial_t \mathbf{u} + (\mathbf{u}\cdot\nabla)\mathbf{u} = -\frac{1}{\rho}\nabla p + \nu\Delta\mathbf{u})",
      R"(\begin{pmatrix} a & b \\ c & d \end{pmatrix} \in \mathrm{SL}_2(\mathbb{Z}))",
      R"(\hat{H}\,|\psi\rangle = E\,|\psi\rangle,\quad \langle\psi|\phi\rangle = \delta_{\psi\phi})",
      R"(f(x) = \begin{cases} 1 & \text{if } x \in \mathbb{Q},\\ 0 & \text{otherwise.} \end{cases})",
      R"(\underbrace{a+\dots+a}_{n\ \mathrm{times}} \overset{!}{=} na \;\; \Longrightarrow \;\; \{x : x > 0\})",
      R"(\iint_{\partial\Omega} \vec F\cdot d\vec S = \iiint_\Omega \operatorname{div}\vec F\,dV \% \# \& \_)"};
  const std::vector<std::pair<std::string, std::string>> around{
      {"\\[ ", " \\]"},
      {"$$", "$$"},
      {"\\begin{equation}\\label{eq:x}\n", "\n\\end{equation}"},
      {"\\begin{equation*}% comment\n ", " \\end{equation*}"},
      {"\\begin{displaymath}", "\\end{displaymath}"},
      {"\\beq ", "\\eeq"},
      {"\\begin{gather} ", " \\nonumber \\end{gather}"},
      {"\\begin{multline*} ", " \\end{multline*}"},
      {"\\begin{align} ", " \\end{align}"},
      {"\\begin{theorem} Let \\[ ", " \\] hold. \\end{theorem}"},
      {"\\begin{itemize} \\item We have \\[ ", " \\] here. \\end{itemize}"},
      {"\\footnote{See \\[ ", " \\] there.}"},
      {"inline $", "$ done"},
      {"inline \\(", "\\) done"},
      {"\\begin{tabular}{c} $", "$ \\end{tabular}"}};
  std::string source =
      "\\documentclass{article}\\newtheorem{theorem}{Theorem}\\def\\beq{\\begin{equation}}\\def\\eeq{\\end{equation}}\n"
      "\\begin{document}\n";
  for (std::size_t k = 0; k < around.size(); ++k)
    for (std::size_t i = 0; i < planted.size(); ++i)
      source += "Text before.\n" + around[k].first + planted[i] + " = " + std::to_string(1000 * k + i) +
                around[k].second + "\nAfter.\n\n";
  source += "\\end{document}";
  const Loader nothing = [](const std::string&) { return std::optional<std::string>(); };
  const std::vector<std::string> got = tokens(extract_latex({{source}}, nothing).text());
  for (std::size_t k = 0; k < around.size(); ++k)
    for (std::size_t i = 0; i < planted.size(); ++i) {
      const std::vector<std::string> want = tokens(planted[i] + " = " + std::to_string(1000 * k + i));
      const auto found = std::search(got.begin(), got.end(), want.begin(), want.end());
      INFO(around[k].first << planted[i]);
      CHECK(found != got.end());
    }
}

TEST_CASE("display equations of real papers are in their texts") {
  const fs::path papers = eddy_test::material() / "papers";
  if (eddy_test::material().empty() || !fs::exists(papers / "latex")) {
    WARN("EDDY_MATERIAL has no papers/latex: left out");
    return;
  }
  if (eddy_test::run({"/usr/bin/env", "python3", "--version"}).status != 0) {
    WARN("python3 is not there: the checker cannot run");
    return;
  }
  eddy_test::TempDir dir;
  long displays = 0, found = 0, words = 0, words_found = 0;
  for (const char* name :
       {"latex/docling/1706.03762/main.tex", "latex/docling/2310.06825/main.tex", "latex/docling/0005057/diss.tex",
        "latex/docling/example_01.tex", "latex/docling/example_02.tex", "latex/augier2019_jfm/article.tex",
        "latex/barba_cloud_repro/MesnardoBarba2019.tex", "latex/rh_mazur_stein.tex",
        "latex/equational_theories_paper/main.tex", "latex/FLT_blueprint/print.tex", "pairs/pari/tutorial.tex",
        "pairs/pari/tutorial-mf.tex", "pairs/pari/refcard.tex", "pairs/tme-emt-errata/tme-emt-errata.tex"}) {
    const fs::path path = papers / name;
    CAPTURE(name);
    const ArticleOutcome o = extract_article(path, Kind::latex, path.parent_path(), {});
    REQUIRE(o.outcome.reason == "");
    eddy_test::write_file(dir / "text", o.outcome.text);
    const auto checked =
        eddy_test::run({"/usr/bin/env", "python3", eddy_test::source_dir() / "tests/reference/check_equations.py", path,
                        dir / "text"});
    REQUIRE(checked.status == 0);
    const auto j = nlohmann::json::parse(checked.out);
    INFO(checked.out);
    displays += j["displays"].get<long>();
    found += j["found"].get<long>();
    words += j["words"].get<long>();
    words_found += j["words_found"].get<long>();
    CHECK(100 * j["found"].get<long>() >= 99 * j["displays"].get<long>());
    CHECK(j["commands"].empty());
    CHECK(j["comments"].empty());
    CHECK(j["bibliography"].empty());
  }
  CAPTURE(displays, found, words, words_found);
  CHECK(displays > 700);
  CHECK(1000 * found >= 999 * displays);
  CHECK(100 * words_found >= 97 * words);  // what is missing are names of files and columns of tables
}
