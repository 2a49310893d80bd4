// Archives in memory, what is refused in them, and which of their files are the paper.
#include "extract/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <map>

#include "catch.h"
#include "extract/article.h"
#include "extract/main_file.h"
#include "support.h"

using namespace eddy::extract;

namespace {
struct Entry {
  std::string name, bytes;
  int type = AE_IFREG;
  std::string link{};
};
/// A .tar.gz with names as given, whatever they are.
std::string tar_gz(const std::vector<Entry>& entries) {
  std::size_t room = 1 << 20;
  for (const Entry& e : entries) room += e.bytes.size() + 2 * e.name.size() + 4096;
  std::string out(room, '\0');
  std::size_t used = 0;
  archive* a = archive_write_new();
  archive_write_add_filter_gzip(a);
  archive_write_set_format_pax_restricted(a);  // ustar where its fields suffice
  archive_write_open_memory(a, out.data(), out.size(), &used);
  for (const Entry& e : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, e.name.c_str());
    archive_entry_set_filetype(entry, static_cast<unsigned>(e.type));
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(e.bytes.size()));
    if (e.type == AE_IFLNK) archive_entry_set_symlink(entry, e.link.c_str());
    if (!e.link.empty() && e.type == AE_IFREG) archive_entry_set_hardlink(entry, e.link.c_str());
    archive_write_header(a, entry);
    if (!e.bytes.empty()) archive_write_data(a, e.bytes.data(), e.bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}
/// "a.tex, b.tex", or the reason.
std::string mains(const std::vector<ArchiveFile>& files) {
  const MainFiles found = find_main_files(files);
  std::string out = found.reason;
  for (const std::size_t i : found.files) out += (out.empty() ? "" : ", ") + files[i].name;
  return out;
}
const std::string kPaper = "\\documentclass{article}\\begin{document}text\\end{document}";
}  // namespace

TEST_CASE("names that lead out of a folder are none") {
  CHECK(safe_name("./a//b.tex") == "a/b.tex");
  CHECK(safe_name("a/../b") == "b");
  for (const char* name : {"../a", "a/../../b", "/etc/passwd", "", "C:\\x", "..\\a", ".", "a/.."})
    CHECK(safe_name(name).empty());
  const Archive a = unpack(tar_gz({{"../../evil.tex", "e"},
                                   {"/etc/evil.tex", "e"},
                                   {"link.tex", "", AE_IFLNK, "/etc/passwd"},
                                   {"hard.tex", "", AE_IFREG, "../x"},
                                   {"pipe", "", AE_IFIFO},
                                   {"dir/", "", AE_IFDIR},
                                   {"./dir/good.tex", "g"}}));
  CHECK(a.refused == 5);
  REQUIRE(a.files.size() == 1);
  CHECK(a.files[0].name == "dir/good.tex");
  CHECK(a.files[0].bytes == "g");
}

TEST_CASE("bombs and damage") {
  const std::string bomb = tar_gz({{"a.tex", std::string(60 << 20, ' ')}});
  CHECK(unpack(bomb).reason == "archive: unpacks to too much");
  CHECK(unpack(bomb, {.total_bytes = 1 << 20}).reason == "archive: unpacks to too much");
  CHECK(unpack(bomb, {.ratio = 100'000}).reason.empty());
  std::vector<Entry> many;
  for (int i = 0; i < 50; ++i) many.push_back({std::to_string(i), ""});
  CHECK(unpack(tar_gz(many), {.entries = 49}).reason == "archive: too many entries");
  CHECK(unpack(tar_gz(many), {.entries = 50}).reason.empty());
  CHECK(unpack("\x1f\x8b\x08 this is no gzip").reason == "archive: damaged");
  const std::string good = tar_gz({{"a.tex", kPaper}, {"b.tex", std::string(100'000, 'b')}});
  CHECK(unpack(good.substr(0, good.size() / 2)).reason == "archive: damaged");
  CHECK(extract_payload("", {}).outcome.reason == "empty");
  CHECK(extract_payload("<!DOCTYPE html><html>busy</html>", {}).outcome.reason == "HTML instead of a paper");
  CHECK(extract_payload("%!PS-Adobe-2.0", {}).outcome.reason == "PostScript");
  CHECK(extract_payload(
            tar_gz({{"x.tex", "\\documentclass{a}\\begin{document}Hi \\input{p}\\end{document}"}, {"p.tex", "there"}}),
            {})
            .outcome.text == "Hi there\n");
  CHECK(extract_payload(kPaper, {}).outcome.text == "text\n");
}

TEST_CASE("what is refused counts, too") {
  // Skipped, a link's or a bad name's gigabytes would be unpacked uncounted before the next header.
  const std::string zeros(60 << 20, '\0');
  for (const char* name : {"../a.tex", "figure.png", "/dev/zero"})
    CHECK(unpack(tar_gz({{name, zeros}, {"b.tex", kPaper}})).reason == "archive: unpacks to too much");
  const std::string long_name(4096, 'n');
  CHECK(unpack(tar_gz({{long_name, "x"}})).files.size() == 1);
  const Archive a = unpack(tar_gz({{long_name + "n", "x"}, {"b.tex", kPaper}, {"B.tex", "B"}, {"b.tex", "again"}}));
  CHECK(a.refused == 1);
  REQUIRE(a.files.size() == 2);
  CHECK(a.files[0].bytes == "again");
  CHECK(a.files[1].name == "B.tex");
  std::vector<Entry> names;
  for (int i = 0; i < 100; ++i) names.push_back({std::to_string(i) + long_name, ""});
  CHECK(unpack(tar_gz(names)).refused == 100);
  CHECK(unpack(tar_gz(names), {.total_bytes = 400'000}).reason == "archive: unpacks to too much");
}

TEST_CASE("the main file is found by what files say") {
  CHECK(mains({{"macros.tex", "\\def\\a{b}"}, {"draft7.tex", kPaper}, {"intro.tex", "text"}}) == "draft7.tex");
  CHECK(mains({{"paper", kPaper}, {"fig.pdf", "%PDF-1.4"}}) == "paper");  // no ending
  CHECK(mains({{"b.tex", kPaper}, {"a.tex", kPaper}, {"anc/c.tex", kPaper}, {"._a.tex", kPaper}}) == "a.tex, b.tex");
  CHECK(mains({{"a.tex", kPaper + "\\input{b}"}, {"b.tex", kPaper}}) == "a.tex");
  CHECK(mains({{"a.tex", kPaper}, {"s.tex", "\\documentclass[a]{subfiles}\\begin{document}s\\end{document}"}}) ==
        "a.tex");
  CHECK(mains({{"old.tex", "%auto-ignore\n" + kPaper}, {"new.tex", kPaper}}) == "new.tex");
  CHECK(mains({{"w.tex", "%auto-ignore\nThis paper has been withdrawn."}}) == "sources: withdrawn (%auto-ignore)");
  CHECK(mains({{"old.tex", "\\documentstyle{article}\\begin{document}x\\end{document}"}}) == "old.tex");
  CHECK(mains({{"p.tex", "\\input harvmac\nHello\\bye"}, {"harvmac.tex", "\\def\\a{b}\n\\def\\c{d}\n"}}) == "p.tex");
  CHECK(mains({{"main.tex", "\\input{pre}\\begin{document}x\\end{document}"}, {"pre.tex", "\\documentclass{a}"}}) ==
        "main.tex");
  CHECK(mains({{"only.tex", "Just words."}}) == "only.tex");
  CHECK(mains({{"m.tex", "\\def\\a{b}\n"}}) == "sources: macros, no text");
  CHECK(mains({{"a.png", ""}, {"notes.txt", "x"}}) == "sources: no TeX file");
  CHECK(mains({{"00README.XXX", "b.tex toplevelfile\na.tex ignore"}, {"a.tex", kPaper}, {"b.tex", kPaper}}) == "b.tex");
  CHECK(mains({{"00README.XXX", "a.tex ignore"}, {"a.tex", kPaper}, {"b.tex", kPaper}, {"c.tex", kPaper}}) ==
        "b.tex, c.tex");
  CHECK(mains({{"00README.json", "{broken"}, {"a.tex", kPaper}}) == "a.tex");
}

TEST_CASE("arXiv's own test archives") {
  // Read off each archive by hand: what its 00README names, else the file that is a document.
  const std::map<std::string, std::string> expected{
      {"biber-fail", "main.tex"},
      {"biblatex-bib-multiple", "main.tex"},
      {"biblatex-biber", "main.tex"},
      {"biblatex-bibtex", "main.tex"},
      {"biblatex-bibtex8", "main.tex"},
      {"bibtex-fail", "main.tex"},
      {"bibtex-not-used", "main.tex"},
      {"bibtex-not-used-revtex", "main.tex"},
      {"bookmark-out-file", "main.tex"},
      {"check-js-detection", "main.tex"},
      {"cmd-exec-luatex", "main.tex"},
      {"cmd-exec-pdftex", "main.tex"},  // which has nothing but \input{|date}: found, and no text
      {"dvi-pdfoutput", "main.tex"},
      {"empty-toplevel-fn", "main1.tex"},  // 00README names "" beside it
      {"failing-ps2pdf", "bla.tex"},
      {"first-line", "main1.tex"},
      {"latex-as-tex-fails", "main.tex"},
      {"lualatex-basic", "main.tex"},
      {"missing-citation", "main.tex"},
      {"missing-citation-latex", "main.tex"},
      {"pdftex-basic", "main.tex"},  // plain TeX
      {"test-always-changing-labels", "main.tex"},
      {"test-anc-ignore", "bla.tex"},  // no 00README; anc/foo.tex is not one
      {"test-bbl-32", "main.tex"},
      {"test-bbl-33", "main.tex"},
      {"test-bibtex", "main.tex"},
      {"test-broken-tex", "test.tex"},
      {"test-makeindex", "main.tex"},
      {"test-missing-glo", "test.tex"},
      {"test-missing-img", "test.tex"},
      {"test-mktextfm", "main.tex"},
      {"test-no-bib-processor", "main.tex"},
      {"test-texlive-version", "fake-file-2.tex, fake-file-1.tex, fake-file-3.tex"},  // in the order of 00readme.yaml
      {"test-texlive-version-auto-detect-set", "main.tex"},
      {"test1", "fake-file-2.tex"},  // 00README.XXX: toplevelfile
      {"test2", "fake-file-2.tex"},
      {"test3", "fake-file-2.tex, fake-file-1.tex, fake-file-3.tex"},
      {"test4", "main.tex, gdp.tex"},
      {"tl2023-zzrm-without-texlive-version", "main1.tex"},
      {"version-1", "main1.tex"},
      {"version-100", "main1.tex"},
      {"version-2", "main1.tex"},
      {"version-2-texlive-version", "main1.tex"},
      {"version-2-texlive-version-current", "main1.tex"},
      {"version-2-texlive-version-unknown", "main1.tex"},
      {"xelatex-basic", "main.tex"},
      {"xelatex-eps", "main.tex"}};
  const auto folder = eddy_test::material() / "papers/eprint/arxiv-submission-tools";
  if (eddy_test::material().empty() || !std::filesystem::exists(folder)) {
    WARN("EDDY_MATERIAL has no papers/eprint: arXiv's archives are left out");
    return;
  }
  CHECK(expected.size() == 47);
  for (const auto& [name, files] : expected) {
    CAPTURE(name);
    const std::string bytes = eddy_test::read_file(folder / name / (name + ".tar.gz"));
    const Archive a = unpack(bytes);
    CHECK(a.reason == "");
    CHECK(mains(a.files) == files);
    const Outcome o = extract_payload(bytes, {}).outcome;
    const bool no_text = name == "cmd-exec-pdftex";
    CHECK(o.reason == (no_text ? "no text" : ""));
    for (const char* left : {"\\documentclass", "\\begin", "\\usepackage", "\\bibitem", "N. Obody"})
      CHECK(o.text.find(left) == std::string::npos);
  }
}
