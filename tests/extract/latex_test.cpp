// LaTeX and plain TeX as articles, piece by piece.
#include "extract/latex.h"

#include <map>

#include "catch.h"

using namespace eddy::extract;

namespace {
Loader files(std::map<std::string, std::string> content) {
  return [content](const std::string& name) -> std::optional<std::string> {
    for (const std::string& candidate : {name + ".tex", name})
      if (const auto found = content.find(candidate); found != content.end()) return found->second;
    return std::nullopt;
  };
}
Article article(const std::string& source, std::map<std::string, std::string> content = {}) {
  return extract_latex({{source}}, files(std::move(content)));
}
std::string text(const std::string& source, std::map<std::string, std::string> content = {}) {
  return article(source, std::move(content)).text();
}
/// A document with this body and preamble.
std::string body(const std::string& inside, const std::string& preamble = "") {
  return text("\\documentclass{article}\n" + preamble + "\n\\begin{document}\n" + inside + "\n\\end{document}\nnotes");
}
}  // namespace

TEST_CASE("characters, ligatures, accents") {
  CHECK(body("``Quoted'' -- a dash---and 10\\% of \\$5 \\& more~here") ==
        "\"Quoted\" \u2013 a dash\u2014and 10% of \\$5 & more here\n");
  CHECK(body("Poincar\\'e, Erd\\H{o}s, \\'{\\i}, Fran\\c{c}ois, G\\\"odel, \\v Cech, \\AA ngstr\\\"{o}m, Stra\\ss e") ==
        "Poincar\u00e9, Erd\u0151s, \u00ed, Fran\u00e7ois, G\u00f6del, \u010cech, \u00c5ngstr\u00f6m, Stra\u00dfe\n");
  CHECK(body("one\ntwo   three\n\n\nfour % comment\n  five") == "one two three\n\nfour five\n");
  CHECK(body("well-known don't self--made") == "well-known don't self\u2013made\n");
  CHECK(text("caf\xe9 na\xefve") == "caf\u00e9 na\u00efve\n");  // Latin-1
  CHECK(body("a\\\\b\\\\[2pt] c") == "a\nb\nc\n");
}

TEST_CASE("preamble, comments, bibliography and what follows the document go") {
  CHECK(body("text", "\\usepackage{x}\\setlength{\\parindent}{0pt}\nstray\n\\author{A}") == "text\n");
  CHECK(body("a\n\\bibliographystyle{plain}\\bibliography{refs}\n"
             "\\begin{thebibliography}{9}\\bibitem{a} A. Author\n\\end{thebibliography}\nb") == "a\n\nb\n");
  CHECK(body("a\n\\section*{References}\n[1] A. Author\n\\section{Appendix}b") == "a\n\n## 1 Appendix\n\nb\n");
  CHECK(body("a\\begin{comment}gone\\end{comment} \\iffalse gone \\ifx\\a\\b x\\else y\\fi\\else kept\\fi") ==
        "a kept\n");
  const Article a = article(
      "\\documentclass{amsart}\\title[Short]{On $\\zeta(s)$\\thanks{grant}}\\author{A. Author}\n"
      "\\begin{document}\\begin{abstract}We prove it.\\end{abstract}\\maketitle\nText.\\end{document}");
  CHECK(a.title == "On $\\zeta(s)$");
  CHECK(a.abstract == "We prove it.");
  CHECK(a.text() == "# On $\\zeta(s)$\n\n## Abstract\n\nWe prove it.\n\nText.\n");
}

TEST_CASE("macros") {
  CHECK(body("$\\R^n$ and \\R.", "\\newcommand{\\R}{\\ensuremath{\\mathbb{R}}}") ==
        "$\\mathbb{R}^n$ and $\\mathbb{R}$.\n");
  CHECK(body("$\\norm{x}_p$, $\\norm[2]{y}$", "\\newcommand{\\norm}[2][p]{\\left\\| #2 \\right\\|_{#1}}") ==
        "$\\left\\| x \\right\\|_{p}_p$, $\\left\\| y \\right\\|_{2}$\n");
  CHECK(body("$\\pair<a,b>$", "\\def\\pair<#1,#2>{\\langle #1, #2\\rangle}") == "$\\langle a, b\\rangle$\n");
  CHECK(
      body("$\\Hom(a, b) \\argmax_x$", "\\DeclareMathOperator{\\Hom}{Hom}\\DeclareMathOperator*\\argmax{arg\\,max}") ==
      "$\\operatorname{Hom}(a, b) \\operatorname*{arg\\,max}_x$\n");
  CHECK(body("$\\b$", "\\let\\b=\\beta \\renewcommand{\\beta}{x}") == "$\\beta$\n");
  CHECK(body("$\\a x\\a_1$", "\\def\\a{\\alpha}") == "$\\alpha x\\alpha_1$\n");
  CHECK(body("$\\f{\\alpha}$", "\\newcommand\\f[1]{#1x}") == "$\\alpha x$\n");  // not \alphax
  CHECK(body("{\\def\\x{in}\\x} \\x", "\\def\\x{out}") == "in out\n");
  CHECK(body("\\ifdraft draft\\else final\\fi", "\\newif\\ifdraft\\drafttrue") == "draft\n");
  CHECK(body("\\beq a \\eeq", "\\def\\beq{\\begin{equation}}\\def\\eeq{\\end{equation}}") == "$$a$$\n");
  CHECK(body("\\begin{eq}a\\end{eq}", "\\newenvironment{eq}{\\begin{equation}}{\\end{equation}}") == "$$a$$\n");
  CHECK(body("\\begin{note}{T}a\\end{note}b", "\\newenvironment{note}[1]{Note (#1): }{.}") == "Note (T): a.b\n");
  CHECK(body("$\\abs{x}$", "\\DeclarePairedDelimiter\\abs{\\lvert}{\\rvert}") == "$\\lvert x \\rvert$\n");
  CHECK(body("\\x@y", "\\makeatletter\\def\\z@{a}\\def\\x{\\z@}\\makeatother") == "a@y\n");
}

TEST_CASE("macros without end are given up") {
  CHECK(body("a\\x b\n\nc", "\\def\\x{\\x}") == "ab\n\nc\n");
  CHECK(body("a\\x{b} c", "\\def\\x#1{\\x{#1#1}}").substr(0, 1) == "a");
  std::string doubling = "\\def\\aa{x}";
  for (char c = 'a'; c < 'z'; ++c)
    doubling += std::string("\\def\\a") + static_cast<char>(c + 1) + "{\\a" + c + "\\a" + c + "}";
  CHECK(body("\\az end", doubling).size() < 1'000'000);
}

TEST_CASE("mathematics stays") {
  CHECK(body("Let \\[ \\sum_{n\\ge1}  n^{-s} % the series\n \\] converge.") ==
        "Let\n\n$$\\sum_{n\\ge1} n^{-s}$$\n\nconverge.\n");
  CHECK(body("\\(x\\) $y$ $$ z $$") == "$x$ $y$\n\n$$z$$\n");
  CHECK(body("\\begin{align*} a &= b \\nonumber\\\\[2pt] c &= d \\label{e} \\end{align*}") ==
        "$$\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}$$\n");
  CHECK(body("\\begin{eqnarray} a &=& b \\end{eqnarray}") == "$$\\begin{array}{rcl} a &=& b \\end{array}$$\n");
  CHECK(body("\\[ x \\text{ if $\\R$ is} \\mbox{it} \\]", "\\def\\R{r}") == "$$x \\text{ if $r$ is} \\mbox{it}$$\n");
  CHECK(body("\\begin{equation}\\begin{cases} a & b\\\\ c & d\\end{cases}\\end{equation}") ==
        "$$\\begin{cases} a & b\\\\ c & d\\end{cases}$$\n");
  CHECK(body("an open $x and\n\n\\section{Next} one") == "an open $x and$\n\n## 1 Next\n\none\n");
  CHECK(body("$$a$$ $ $") == "$$a$$\n");
  const Article a = article(
      "\\begin{document}\\begin{align} a \\label{x}\\\\ b \\nonumber\\\\ c\\label{y} \\end{align}\n"
      "\\begin{equation} d \\label{z}\\end{equation} \\eqref{x} \\ref{y} \\eqref{z} \\cref{z} "
      "\\ref{none}\\end{document}");
  REQUIRE(a.blocks.size() == 3);
  CHECK(a.blocks[1].label == "z");
  CHECK(a.blocks[1].number == "3");
  CHECK(a.blocks[1].text == "$$d$$");
  CHECK(a.blocks[2].text == "(1) 2 (3) (3) ??");
  CHECK(a.text().find("$$d \\tag{3}$$") != std::string::npos);
}

TEST_CASE("sections, theorems, proofs") {
  const Article a = article(
      "\\documentclass{amsart}\\newtheorem{thm}{Theorem}[section]\\newtheorem{lem}[thm]{Lemma}\\newtheorem*{q}{"
      "Question}\n"
      "\\begin{document}\\section{First}\\label{s1}\n\\begin{lem}A.\\end{lem}\n"
      "\\begin{thm}[Wiles \\cite{w}]\\label{t}\nFor $n>2$\n\\[x^n+y^n=z^n\\] has\\begin{itemize}\\item no \\item "
      "solution."
      "\\end{itemize}\\end{thm}\n\\begin{proof}[Proof of Theorem~\\ref{t}]See Section \\ref{s1}. \\qed\\end{proof}\n"
      "\\begin{q}Why?\\end{q}\\subsection*{Rest}x\\end{document}");
  REQUIRE(a.blocks.size() == 7);
  CHECK(a.blocks[0].kind == BlockKind::heading);
  CHECK(a.blocks[0].number == "1");
  CHECK(a.blocks[0].label == "s1");
  CHECK(a.blocks[1].name == "lemma");
  CHECK(a.blocks[1].number == "1.1");
  CHECK(a.blocks[2].kind == BlockKind::theorem);
  CHECK(a.blocks[2].title == "Wiles [1]");
  CHECK(a.blocks[2].label == "t");
  CHECK(a.blocks[2].number == "1.2");
  CHECK(a.blocks[2].text == "For $n>2$\n\n$$x^n+y^n=z^n$$\n\nhas\n- no\n- solution.");
  CHECK(a.blocks[3].kind == BlockKind::proof);
  CHECK(a.blocks[3].title == "Proof of Theorem 1.2");
  CHECK(a.blocks[3].text == "See Section 1.");
  CHECK(a.blocks[4].name == "question");
  CHECK(a.blocks[4].number.empty());
  CHECK(a.blocks[5].level == 2);
}

TEST_CASE("lists, tables, captions, footnotes, code") {
  CHECK(body("\\begin{enumerate}\\item one\\item two\\begin{itemize}\\item in\\end{itemize}\\item[(x)] "
             "three\\end{enumerate}z") == "1. one\n2. two\n  - in\n(x) three\n\nz\n");
  CHECK(body("\\begin{table}[ht]\\caption{Sizes}\\label{t}\\begin{tabular}{|l|c|}\\hline\na & $b$\\\\\\hline\n"
             "\\multicolumn{2}{c}{wide} \\\\\n\\end{tabular}\\end{table} See Table~\\ref{t}.") ==
        "Table 1: Sizes\n\na | $b$\nwide\n\nSee Table 1.\n");
  CHECK(body("A word\\footnote{A \\emph{note}.} and more.\n\nNext.") ==
        "A word and more.\n\n(Footnote: A note.)\n\nNext.\n");
  CHECK(body("\\begin{verbatim}\nif (a % b) \\x\n\\end{verbatim}\\verb|50%|") == "```\nif (a % b) \\x\n```\n\n50%\n");
  CHECK(body("\\begin{figure}\\includegraphics[width=3cm]{a.png}\\caption[short]{Long one}\\end{figure}") ==
        "Figure 1: Long one\n");
  CHECK(body("\\begin{tikzpicture}\\draw (0,0);\\end{tikzpicture}seen \\cite{a,b} and \\citep[p.~3]{b}") ==
        "seen [1, 2] and [2, p. 3]\n");
}

TEST_CASE("text in unknown commands and environments stays") {
  CHECK(body("\\foo{one}{two} \\bar[x=1]{three} \\begin{baz}four\\end{baz} \\textbf{five}") ==
        "one two three four five\n");
  CHECK(body("\\textcolor{red}{a} \\href{http://x}{b} \\hspace*{2cm}\\vspace{1ex}\\parbox[t]{3cm}{c} {\\bf d}") ==
        "a b c d\n");
  CHECK(body("open {brace and\n\n\\section{S} more") == "open brace and\n\n## 1 S\n\nmore\n");
  CHECK(body("\\begin{theorem} never closed\n\n\\section{S} more") == "Theorem. never closed\n\n## 1 S\n\nmore\n");
  CHECK(body("close } and \\end{nothing} go on") == "close and go on\n");
  CHECK(body("\\label{never closed\n\nnext") == "next\n");
}

TEST_CASE("inputs") {
  const std::map<std::string, std::string> parts{{"a.tex", "A \\input b\n"},
                                                 {"b.tex", "B % c\n"},
                                                 {"sub.tex", "\\documentclass{x}\\begin{document}S\\end{document}"},
                                                 {"macros.tex", "\\def\\x{y}\n\\newcommand{\\z}{w}\n"},
                                                 {"own.sty", "\\def\\own{O}"},
                                                 {"part/c.tex", "C\\input{d}"},
                                                 {"part/d.tex", "D"}};
  const Article r = article(
      "\\documentclass{x}\\usepackage{amsmath, own}\\begin{document}1 \\input{a}2 \\include{none} \\subfile{sub} "
      "\\input{macros}\\x\\own \\import{part/}{c} \\input{|date}3\\end{document}",
      parts);
  CHECK(r.text() == "1 A B 2\n\nS yOCD 3\n");
  CHECK(r.unresolved == 2);
  CHECK(article("\\input{loop}", {{"loop.tex", "x\\input{loop}"}}).unresolved == 1);  // a circle ends
  CHECK(text("\\input{twice}", {{"twice.tex", "x\\input{twice}\\input{twice}"}}).size() <
        5000);  // so does a tree of them
  CHECK(text("\\documentclass{a}\\input{pre}\\input{b}", {{"pre.tex", "\\begin{document}"}, {"b.tex", "B"}}) == "B\n");
  CHECK(text("\\documentclass{a} a fragment without its document") == "a fragment without its document\n");
}

TEST_CASE("LaTeX 2.09 and plain TeX") {
  CHECK(text("\\documentstyle[12pt]{article}\\begin{document}\\title{T}{\\em old} $x$\\end{document}") ==
        "# T\n\nold $x$\n");
  CHECK(text("\\magnification=1200 \\parskip 3pt plus 1pt\n\\font\\big=cmr17 scaled\\magstep1\n{\\big Hello} "
             "world\\vskip 1cm\n"
             "\\centerline{\\bf Title}\n$$a=b\\eqno(1)$$\\item{1.} one\n\n\\hbox to 3in{box}\\bye ignored") ==
        "Hello world\n\nTitle\n\n$$a=b\\eqno(1)$$\n\n1. one\n\nbox\n");
  CHECK(text("\\proclaim Theorem 1. All is well.\n\nNext\\bye") == "Theorem 1. All is well.\n\nNext\n");
  CHECK(text("\\def\\section#1{\\bigbreak{\\bf#1}}\\section{Intro} a\\footnote*{n} b\\end") ==
        "## 1 Intro\n\na b\n\n(Footnote: n)\n");
}
