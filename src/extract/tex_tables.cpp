#include "extract/tex_tables.h"

#include <array>
#include <utility>

#include "extract/tex_macros.h"

namespace eddy::extract::tex {
namespace {

using std::string_view;

struct Row {
  string_view arguments;
  string_view names;  ///< parted by blanks
};

/// Commands that say how something looks or that LaTeX keeps books with; what they take, and which of it is text.
constexpr std::array kArguments{
    Row{"",
        "relax protect noindent indent centering raggedright raggedleft tiny scriptsize footnotesize small normalsize "
        "large Large LARGE huge Huge bf it rm sf tt sl sc em cal mit normalfont bfseries itshape mdseries upshape "
        "slshape scshape rmfamily sffamily ttfamily hfill hfil vfil hss vss strut null / - ! nobreak allowbreak sloppy "
        "fussy onecolumn flushbottom raggedbottom displaystyle textstyle scriptstyle limits nolimits expandafter "
        "noexpand global long outer leavevmode ignorespaces unskip obeylines obeyspaces qed qedhere printindex "
        "makeindex doublespacing singlespacing onehalfspacing newblock balance boldmath unboldmath phantomsection "
        "nonumber notag hline toprule midrule bottomrule endfirsthead endhead endfoot endlastfoot maketitle "
        "tableofcontents listoffigures listoftables frontmatter mainmatter backmatter selectfont immediate "
        "makeglossaries printglossaries printglossary ignorespacesafterend topinsert midinsert pageinsert endinsert "
        "raggedcenter nonfrenchspacing frenchspacing normalbaselines nopagenumbers oldstyle dump document enddocument "
        "endgraf bfit eightpoint tenpoint twelvepoint ninepoint protected unexpanded noalign columnbreak swapnumbers "
        "NoBlackBoxes loadmsbm loadeufm UseAMSsymbols topmatter endtopmatter "
        "@ hyphenchar aftergroup firsthline lasthline sffont rmfont endverbatim"},
    Row{"o",
        "linebreak nolinebreak footnotemark allowdisplaybreaks twocolumn printbibliography pagebreak nopagebreak "
        "displaybreak addlinespace listoftodos"},
    Row{"d",
        "index glossary thispagestyle pagestyle pagenumbering bibliographystyle bibliography addbibresource nocite "
        "graphicspath hyphenation hypersetup markright phantom vphantom hphantom pagecolor tikzset usetikzlibrary "
        "pgfplotsset cline stepcounter refstepcounter usecounter newsavebox usebox theoremstyle enlargethispage "
        "linespread fontfamily fontseries fontshape psfig epsfig special plotone lstset sisetup geometry "
        "setdefaultlanguage typeout errmessage message newboolean fontencoding pdfinfo "
        "shortauthors shorttitle runninghead titlerunning authorrunning pacs email urladdr curraddr orcid "
        "ead dedicatory received accepted revised published doi journal volume copyrightyear acmDOI ccsdesc "
        "newread newwrite newtoks closein closeout glsaddall setcitestyle bibpunct urlstyle "
        "DeclareGraphicsExtensions newcites lefthead righthead slugcomment preprint comment "
        "pdfstringdefDisableCommands nolistoftables setmainfont setsansfont setmonofont setmathfont date "
        "excludecomment includecomment dochead emailAdd arxivnumber"},
    Row{"*d", "vspace hspace"},
    Row{"dd",
        "setcounter addtocounter setlength addtolength sbox addtocontents markboth colorlet fontsize plottwo "
        "setboolean lstdefinestyle creflabelformat DeclareUnicodeCharacter settowidth "
        "settoheight settodepth setkeys pdfcatalog"},
    Row{"ddd", "addcontentsline definecolor crefname Crefname titlespacing"},
    Row{"odd", "rule pdfbookmark lstdefinelanguage"},
    Row{"od",
        "todo color rowcolor cellcolor columncolor bibitem captionsetup fancyhead fancyfoot fancyhf lhead rhead "
        "chead lfoot cfoot rfoot epsfbox epsffile includepdf subjclass PassOptionsToPackage missingfigure "
        "newcolumntype author address affiliation affil institute institution altaffiliation "
        "collaboration correspondingauthor tnotetext fntext cortext thanksref"},
    Row{"*ood", "includegraphics"},
    Row{"opd", "cmidrule"},
    Row{"do", "newcounter"},
    Row{"dood", "savebox"},
    Row{"dt", "hypertarget hyperlink href colorbox includetext foreignlanguage"},
    Row{"ot", "hyperref marginpar keywords marginnote"},
    Row{"td", "texorpdfstring"},
    Row{"odt", "textcolor rotatebox"},
    Row{"ddt", "fcolorbox multicolumn"},
    Row{"ooodt", "parbox"},
    Row{"doot", "raisebox"},
    Row{"*ddt", "resizebox"},
    Row{"dot", "scalebox"},
    Row{"ododot", "multirow"},
    Row{"poot", "makebox framebox"},
    Row{"dtd", "ifthenelse"},
    Row{"bt", "hbox vbox vtop line vcenter rlap llap"},
    Row{"=",
        "penalty kern hskip mkern mskip hsize vsize parindent parskip baselineskip magnification voffset hoffset "
        "topmargin textwidth textheight oddsidemargin evensidemargin headheight headsep topskip tolerance hbadness "
        "vbadness hfuzz vfuzz overfullrule pageno itemsep parsep topsep tabcolsep arraycolsep arrayrulewidth "
        "columnsep columnwidth marginparwidth marginparsep footskip unitlength leftmargin leftmargini rightskip "
        "leftskip lineskip lineskiplimit abovedisplayskip belowdisplayskip abovedisplayshortskip "
        "belowdisplayshortskip jot mathsurround fboxsep fboxrule interlinepenalty clubpenalty widowpenalty "
        "hangindent hangafter looseness pretolerance emergencystretch openup pdfoutput bigskipamount "
        "medskipamount smallskipamount floatsep textfloatsep intextsep labelsep labelwidth listparindent "
        "footnotesep hyphenpenalty exhyphenpenalty binoppenalty relpenalty predisplaypenalty postdisplaypenalty "
        "abovecaptionskip belowcaptionskip tabskip delimitershortfall nulldelimiterspace parfillskip "
        "pdfpagewidth pdfpageheight paperwidth paperheight linewidth scriptspace displayindent setbox lower raise "
        "moveleft moveright vadjust fam spaceskip everypar mag language showboxdepth showboxbreadth maxdepth "
        "pdfminorversion pdfcompresslevel baselinestretch tracingpages"},
    Row{"=d", "write headline footline output everydisplay everymath everycr"},
    Row{"w", "number the romannumeral Roman roman arabic alph Alph value string meaning show"},
    Row{"w=", "advance multiply divide"},
};
/// The same that end a paragraph.
constexpr std::array kParagraphs{
    Row{"",
        "par smallskip medskip bigskip newpage clearpage cleardoublepage vfill eject smallbreak medbreak bigbreak "
        "goodbreak filbreak supereject endtitle endauthor endabstract endaffil endaddress"},
    Row{"=", "vskip"},
    Row{"bt", "centerline leftline rightline"},
};

using Pair = std::pair<string_view, string_view>;
constexpr std::array kSymbols{Pair{"ss", "ß"},
                              Pair{"ae", "æ"},
                              Pair{"AE", "Æ"},
                              Pair{"oe", "œ"},
                              Pair{"OE", "Œ"},
                              Pair{"o", "ø"},
                              Pair{"O", "Ø"},
                              Pair{"l", "ł"},
                              Pair{"L", "Ł"},
                              Pair{"aa", "å"},
                              Pair{"AA", "Å"},
                              Pair{"i", "ı"},
                              Pair{"j", "ȷ"},
                              Pair{"dh", "ð"},
                              Pair{"DH", "Ð"},
                              Pair{"th", "þ"},
                              Pair{"TH", "Þ"},
                              Pair{"dj", "đ"},
                              Pair{"DJ", "Đ"},
                              Pair{"S", "§"},
                              Pair{"P", "¶"},
                              Pair{"dag", "†"},
                              Pair{"ddag", "‡"},
                              Pair{"copyright", "©"},
                              Pair{"pounds", "£"},
                              Pair{"ldots", "..."},
                              Pair{"dots", "..."},
                              Pair{"textellipsis", "..."},
                              Pair{"cdots", "..."},
                              Pair{"dotfill", " "},
                              Pair{"textendash", "–"},
                              Pair{"textemdash", "—"},
                              Pair{"textquoteleft", "'"},
                              Pair{"textquoteright", "'"},
                              Pair{"textquotedblleft", "\""},
                              Pair{"textquotedblright", "\""},
                              Pair{"lq", "'"},
                              Pair{"rq", "'"},
                              Pair{"textquotedbl", "\""},
                              Pair{"textquotesingle", "'"},
                              Pair{"guillemotleft", "«"},
                              Pair{"guillemotright", "»"},
                              Pair{"og", "« "},
                              Pair{"fg", " »"},
                              Pair{"LaTeX", "LaTeX"},
                              Pair{"LaTeXe", "LaTeX2e"},
                              Pair{"TeX", "TeX"},
                              Pair{"BibTeX", "BibTeX"},
                              Pair{"AmSTeX", "AmSTeX"},
                              Pair{"AmS", "AmS"},
                              Pair{"textbackslash", "\\"},
                              Pair{"textasciitilde", "~"},
                              Pair{"textasciicircum", "^"},
                              Pair{"textbar", "|"},
                              Pair{"textless", "<"},
                              Pair{"textgreater", ">"},
                              Pair{"textunderscore", "_"},
                              Pair{"textbraceleft", "{"},
                              Pair{"textbraceright", "}"},
                              Pair{"textdollar", "\\$"},
                              Pair{"textdegree", "°"},
                              Pair{"degree", "°"},
                              Pair{"textmu", "µ"},
                              Pair{"textpm", "±"},
                              Pair{"texttimes", "×"},
                              Pair{"textbullet", "•"},
                              Pair{"textregistered", "®"},
                              Pair{"texttrademark", "™"},
                              Pair{"textsection", "§"},
                              Pair{"textcopyright", "©"},
                              Pair{"texteuro", "€"},
                              Pair{"euro", "€"},
                              Pair{"checkmark", "✓"},
                              Pair{"slash", "/"},
                              Pair{"textperiodcentered", "·"},
                              Pair{"textvisiblespace", "␣"},
                              Pair{"textonehalf", "½"},
                              Pair{"No", "№"},
                              Pair{"%", "%"},
                              Pair{"&", "&"},
                              Pair{"#", "#"},
                              Pair{"_", "_"},
                              Pair{"$", "\\$"},
                              Pair{"{", "{"},
                              Pair{"}", "}"},
                              Pair{" ", " "},
                              Pair{"\n", " "},
                              Pair{"\t", " "},
                              Pair{",", " "},
                              Pair{";", " "},
                              Pair{":", " "},
                              Pair{">", " "},
                              Pair{"quad", " "},
                              Pair{"qquad", " "},
                              Pair{"enspace", " "},
                              Pair{"enskip", " "},
                              Pair{"thinspace", " "},
                              Pair{"space", " "},
                              Pair{"nobreakspace", " "},
                              Pair{"negthinspace", ""},
                              Pair{"today", ""},
                              Pair{"", ""},
                              Pair{"colon", ":"},
                              Pair{"lbrack", "["},
                              Pair{"rbrack", "]"},
                              Pair{"lbrace", "{"},
                              Pair{"rbrace", "}"},
                              Pair{"backslash", "\\"},
                              Pair{"hyp", "-"},
                              Pair{"sim", "~"},
                              Pair{"eg", "e.g."},
                              Pair{"ie", "i.e."}};

constexpr std::array kAccents{Pair{"'", "\u0301"}, Pair{"`", "\u0300"}, Pair{"^", "\u0302"}, Pair{"\"", "\u0308"},
                              Pair{"~", "\u0303"}, Pair{"=", "\u0304"}, Pair{".", "\u0307"}, Pair{"u", "\u0306"},
                              Pair{"v", "\u030C"}, Pair{"H", "\u030B"}, Pair{"c", "\u0327"}, Pair{"d", "\u0323"},
                              Pair{"b", "\u0331"}, Pair{"r", "\u030A"}, Pair{"k", "\u0328"}, Pair{"t", "\u0361"}};

constexpr string_view kDefinitions =
    "newcommand renewcommand providecommand DeclareRobustCommand def gdef edef xdef let newenvironment "
    "renewenvironment DeclareMathOperator newtheorem declaretheorem spnewtheorem newdefinition newproof "
    "NewDocumentCommand RenewDocumentCommand "
    "ProvideDocumentCommand DeclareDocumentCommand NewDocumentEnvironment newif newlength newdimen newskip newcount "
    "newmuskip "
    "newbox font chardef mathchardef countdef dimendef numberwithin catcode makeatletter makeatother futurelet "
    "DeclarePairedDelimiter newcommandx";
constexpr string_view kConditions =
    "if ifcat ifnum ifdim ifodd ifvmode ifhmode ifmmode ifinner ifvoid ifhbox ifvbox ifx ifeof iftrue iffalse ifcase "
    "ifdefined ifcsname iffontchar ifpdf ifxetex ifluatex ifPDFTeX ifXeTeX ifLuaTeX else fi or unless";
/// Handled by name, and not to be redefined.
constexpr string_view kFixed =
    "begin end input include subfile import subimport subfileinclude includefrom caption captionof footnote title "
    "abstract item usepackage documentclass documentstyle RequirePackage appendix endinput label ref eqref cite citep "
    "citet Cite";
constexpr string_view kSpecial =
    "( [ ) ] verb lstinline mintinline url nolinkurl path char csname bgroup egroup begingroup endgroup xspace "
    "ensuremath "
    "footnotetext thanks pageref autoref cref Cref nameref vref secref figref hyperrefs crefrange labelcref subref "
    "citealt "
    "citealp citeauthor citeyear citeyearpar parencite textcite autocite footcite citenum onlinecite citetext "
    "citetalias "
    "Citet Citep shortcite fullcite smartcite supercite cites "
    "@ifnextchar @ifstar IfFileExists SI si num qty unit ang beginsection proclaim endproclaim demo enddemo halign cr "
    "crcr "
    "tabularnewline State Statex Require Ensure REQUIRE ENSURE STATE If ElsIf Else EndIf For ForAll EndFor While "
    "EndWhile "
    "Return Function EndFunction Procedure EndProcedure Repeat Until IF ELSE ELSIF ENDIF FOR FORALL ENDFOR WHILE "
    "ENDWHILE RETURN REPEAT UNTIL Comment COMMENT acknowledgments acknowledgements acknowledgment acknowledgement "
    "ack verbatiminput lstinputlisting itemitem bye operatorname AtBeginDocument AtEndDocument subcaption ";

template <class F>
void each_word(string_view names, const F& f) {
  for (std::size_t i = 0; i < names.size();) {
    const std::size_t end = std::min(names.find(' ', i), names.size());
    if (end > i) f(names.substr(i, end - i));
    i = end + 1;
  }
}

Names<Command> make_commands() {
  Names<Command> t;
  const auto put = [&t](string_view name, Command c) { t[std::string(name)] = c; };
  for (const Row& row : kArguments)
    each_word(row.names, [&](string_view n) { put(n, {Do::arguments, row.arguments}); });
  for (const Row& row : kParagraphs)
    each_word(row.names, [&](string_view n) { put(n, {Do::paragraph, row.arguments}); });
  for (const auto& [name, text] : kSymbols) put(name, {Do::symbol, text});
  for (const auto& [name, text] : kAccents) put(name, {Do::accent, text});
  each_word(kDefinitions, [&](string_view n) { put(n, {Do::definition, "", 0, true}); });
  each_word(kConditions, [&](string_view n) { put(n, {Do::condition, "", 0, true}); });
  each_word(kFixed, [&](string_view n) { put(n, {Do::special, "", 0, true}); });
  each_word(kSpecial, [&](string_view n) { put(n, {Do::special}); });
  const std::array<std::pair<string_view, int>, 11> headings{{{"part", 0},
                                                              {"chapter", 0},
                                                              {"section", 1},
                                                              {"subsection", 2},
                                                              {"subsubsection", 3},
                                                              {"paragraph", 4},
                                                              {"subparagraph", 5},
                                                              {"addchap", 0},
                                                              {"addsec", 1},
                                                              {"frametitle", 2},
                                                              {"specialsection", 1}}};
  for (const auto& [name, level] : headings) put(name, {Do::heading, "", level, true});
  for (const string_view n : {"\\", "newline"}) put(n, {Do::line_break, "", 0, true});
  for (const string_view n :
       {"par", "bibliography", "bibitem", "includegraphics", "maketitle", "author", "vspace", "hspace", "index"})
    t[std::string(n)].fixed = true;
  return t;
}

Names<MathEnvironment> make_math() {
  Names<MathEnvironment> t;
  const auto put = [&t](std::string name, MathEnvironment e) {
    t[name] = e;
    e.numbered = false;
    t[name + '*'] = e;
  };
  put("equation", {"", true});
  put("displaymath", {""});
  put("dmath", {"", true});
  put("align", {"aligned", true, true});
  put("flalign", {"aligned", true, true});
  put("alignat", {"alignedat", true, true, true});
  put("flalignat", {"alignedat", true, true, true});
  put("xalignat", {"alignedat", true, true, true});
  put("gather", {"gathered", true, true});
  put("multline", {"gathered", true});
  put("eqnarray", {"array", true, true});
  put("subeqnarray", {"array", true, true});
  put("IEEEeqnarray", {"array", true, true, true});
  put("empheq", {"aligned", true, false, true});
  put("tikzcd", {"tikzcd"});
  put("array", {"array", false, false, true});
  put("equationarray", {"array", true, true, true});
  return t;
}

Names<TextEnvironment> make_environments() {
  Names<TextEnvironment> t;
  const auto put = [&t](string_view names, TextEnvironment e) {
    each_word(names, [&](string_view n) { t[std::string(n)] = e; });
  };
  using E = Environment;
  put("document subequations mathletters small footnotesize scriptsize tiny large normalsize refsection sloppypar "
      "landscape appendices "
      "group subappendices frontmatter titlepage linenumbers",
      {E::text});
  put("quote quotation verse center flushleft flushright keywords keyword displayquote titlingpage framed mdframed ",
      {E::broken});
  put("minipage", {E::broken, "oood"});
  put("multicols spacing otherlanguage CJK CJK* adjustbox", {E::broken, "d"});
  put("adjustwidth", {E::broken, "dd"});
  put("tcolorbox frame mdframed framed", {E::broken, "o"});
  put("itemize enumerate description compactitem compactenum inparaenum inparaitem asparaenum asparaitem trivlist "
      "compactdesc packed_enum enumerate* itemize* steps roster",
      {E::list, "o"});
  put("list", {E::list, "dd"});
  put("theorem thm Theorem", {E::theorem, "", "Theorem"});
  put("lemma lem Lemma", {E::theorem, "", "Lemma"});
  put("corollary cor Corollary", {E::theorem, "", "Corollary"});
  put("proposition prop Proposition", {E::theorem, "", "Proposition"});
  put("definition defn Definition", {E::theorem, "", "Definition"});
  put("remark rem Remark", {E::theorem, "", "Remark"});
  put("example Example", {E::theorem, "", "Example"});
  put("conjecture conj Conjecture", {E::theorem, "", "Conjecture"});
  put("claim Claim", {E::theorem, "", "Claim"});
  put("question problem", {E::theorem, "", "Problem"});
  put("exercise", {E::theorem, "", "Exercise"});
  put("notation", {E::theorem, "", "Notation"});
  put("assumption hypothesis", {E::theorem, "", "Assumption"});
  put("proof pf Proof", {E::proof});
  put("abstract", {E::abstract});
  put("figure figure* SCfigure sidewaysfigure sidewaysfigure* ", {E::floating, "o", "figure"});
  put("wrapfigure", {E::floating, "odod", "figure"});
  put("subfigure", {E::floating, "od", "figure"});
  put("table table* sidewaystable sidewaystable* threeparttable", {E::floating, "o", "table"});
  put("wraptable", {E::floating, "odod", "table"});
  put("algorithm algorithm* algorithm2e", {E::floating, "o", "algorithm"});
  put("listing", {E::floating, "o", "listing"});
  put("algorithmic", {E::broken, "o"});
  put("tabular longtable supertabular xtabular tabu longtabu", {E::table, "od"});
  put("longtable", {E::table, "od"});
  put("tabular* tabularx tabulary", {E::table, "dod"});
  put("tabbing", {E::table, ""});
  put("verbatim verbatim* Verbatim lstlisting minted BVerbatim LVerbatim code", {E::verbatim});
  put("thebibliography comment filecontents filecontents* tikzpicture pspicture pspicture* picture pgfpicture asy "
      "CCSXML "
      "forest feynmandiagram psfrags overpic thenomenclature bibliography references biblist bibdiv chronology",
      {E::dropped});
  put("acknowledgments acknowledgements acknowledgment acknowledgement ack acks", {E::headed, "", "Acknowledgements"});
  return t;
}

}  // namespace

const Command* command(string_view name) {
  static const Names<Command> table = make_commands();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

const MathEnvironment* math_environment(string_view name) {
  static const Names<MathEnvironment> table = make_math();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

const TextEnvironment* text_environment(string_view name) {
  static const Names<TextEnvironment> table = make_environments();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

bool is_text_in_math(string_view name) {
  static const Names<bool> table = [] {
    Names<bool> t;
    each_word(
        "text mbox hbox textrm textit textbf textup textnormal textsf texttt textsc textsl intertext "
        "shortintertext fbox makebox emph vbox ",
        [&](string_view n) { t[std::string(n)] = true; });
    return t;
  }();
  return table.find(name) != table.end();
}

}  // namespace eddy::extract::tex
