// PDFs by way of a GROBID server on loopback: answers of every kind, waits, and whose fault a failure is.
#include "extract/grobid.h"

#include "catch.h"
#include "grobid_server.h"
#include "refusal.h"
#include "small_pdf.h"

using namespace eddy::extract;
using namespace eddy_test;

namespace {
GrobidOptions options(const std::string& url) {
  GrobidOptions o;
  o.url = url;
  o.seconds = 1;
  o.patience_s = 0.3;
  o.first_wait_s = 0.02;
  o.longest_wait_s = 0.05;
  o.answer_bytes = 4 << 20;
  return o;
}
std::string free_url() {  // nobody listens there
  return GrobidServer().url();
}
}  // namespace

TEST_CASE("a server's version; what is no server of GROBID's is refused with what to do") {
  GrobidServer server;
  CHECK(Grobid(options(server.url() + "/")).version() == "0.8.1");
  server.alive_status = 404;
  CHECK(lacks(refusal([&] { Grobid(options(server.url())).version(); }),
              {"extract.grobid = " + server.url(), "no GROBID", "404"}) == "");
  server.alive_status = 503;
  CHECK(lacks(refusal([&] { Grobid(options(server.url())).version(); }), {"not ready", "503"}) == "");
  const std::string gone = free_url();
  CHECK(lacks(refusal([&] { Grobid(options(gone)).version(); }), {gone, "no server answers there", "start it"}) == "");
  for (const char* url : {"localhost:8070", "ftp://x", "8070"})
    CHECK(lacks(refusal([&] { Grobid{options(url)}; }), {"extract.grobid", url, "http://localhost:8070"}) == "");
  const std::string secret = refusal([&] { Grobid{options("http://me:word@x:1")}; });
  CHECK(secret.find("word@") == std::string::npos);
}

TEST_CASE("good answers, at once or after the server was busy") {
  GrobidServer server;
  Grobid grobid(options(server.url()));
  const ArticleOutcome o = grobid.read(small_pdf("good flows"));
  REQUIRE(o.outcome.reason == "");
  CHECK(o.article.title == "On good flows");
  CHECK(server.asked("good") == 1);
  server.busy = 3;
  CHECK(grobid.read(small_pdf("busy flows")).article.title == "On busy flows");
  CHECK(server.asked("busy") == 4);
  CHECK(server.malformed() == 0);
}

TEST_CASE("a document that the server fails on is rejected with the reason, after as many attempts as it is worth") {
  GrobidServer server;
  Grobid grobid(options(server.url()));
  const std::vector<std::tuple<std::string, std::string, int>> cases{
      {"fail", "GROBID: HTTP 500", 2},      {"nothing", "GROBID: found nothing", 1},
      {"page", "GROBID: not TEI", 2},       {"torn", "GROBID: not XML", 2},
      {"bomb", "GROBID: not TEI", 2},       {"huge", "GROBID: answer too large", 1},
      {"cut", "GROBID: connection cut", 3}, {"slow", "GROBID: takes too long", 1},
  };
  for (const auto& [kind, reason, attempts] : cases) {
    INFO(kind);
    const ArticleOutcome o = grobid.read(small_pdf(kind + " document"));
    CHECK(o.outcome.reason == reason);
    CHECK(o.article.blocks.empty());
    CHECK(server.asked(kind) == attempts);
  }
  CHECK(grobid.read("%PDF-1.4 (what?)\n%%EOF\n").outcome.reason == "GROBID: HTTP 400");
  GrobidOptions small = options(server.url());
  small.pdf_bytes = 100;
  CHECK(Grobid(small).read(small_pdf("good")).outcome.reason == "GROBID: PDF too large for it");
  CHECK(server.asked("good") == 0);
}

TEST_CASE("a server that stays busy, is gone or takes no documents ends the run: no document is to blame") {
  const auto status = eddy::Exit::failed;
  const std::string gone = free_url();
  CHECK(lacks(refusal([&] { Grobid(options(gone)).read(small_pdf("good")); }, status),
              {gone, "no connection", "goes on from there"}) == "");
  GrobidServer server;
  server.busy = 1'000'000;
  CHECK(lacks(refusal([&] { Grobid(options(server.url())).read(small_pdf("busy")); }, status),
              {"HTTP 503", "busy or gone"}) == "");
  CHECK(server.asked("busy") > 3);
  CHECK(lacks(refusal([&] { Grobid(options(server.url())).read(small_pdf("gone")); }, status), {"HTTP 404"}) == "");
}

TEST_CASE("told to stop, it gives up what it waits for") {
  GrobidServer server;
  server.busy = 1'000'000;
  for (const char* kind : {"slow", "busy"}) {
    std::atomic<bool> stop{false};
    GrobidOptions o = options(server.url());
    o.seconds = o.patience_s = 60;
    o.longest_wait_s = o.first_wait_s = 60;
    Grobid grobid(o, &stop);
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      stop = true;
    });
    const auto begin = std::chrono::steady_clock::now();
    refusal([&] { grobid.read(small_pdf(kind)); }, eddy::Exit::stopped);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
    later.join();
  }
}

TEST_CASE("the route of a PDF: the server, else poppler, and which of the two is told") {
  GrobidServer server;
  Grobid grobid(options(server.url()));
  const TempDir dir;
  write_file(dir / "program", "#!/bin/sh\necho \"poppler's words\"\n");
  std::filesystem::permissions(dir / "program", std::filesystem::perms::owner_all);
  const PdfRoute route(dir / "program", &grobid);
  write_file(dir / "good.pdf", small_pdf("good one"));
  const auto read = [&](const std::string& name) { return extract_article(dir / name, Kind::pdf, dir.path(), route); };
  CHECK(read("good.pdf").article.title == "On good one");
  CHECK(read("good.pdf").outcome.grobid == "used");
  CHECK(extract_payload(small_pdf("good payload"), route).article.title == "On good payload");

  write_file(dir / "fail.pdf", small_pdf("fail"));
  CHECK(read("fail.pdf").outcome.text == "poppler's words\n");
  CHECK(read("fail.pdf").outcome.grobid == "GROBID: HTTP 500");
  const ArticleOutcome payload = extract_payload(small_pdf("fail payload"), route);
  CHECK(payload.outcome.text == "poppler's words\n");
  CHECK(payload.outcome.grobid == "GROBID: HTTP 500");

  const ArticleOutcome neither = extract_payload(small_pdf("fail"), PdfRoute("", &grobid));
  CHECK(neither.outcome.reason == "PDF: this build has no eddy-pdf-text");
  CHECK(lacks(neither.outcome.detail, {"GROBID: HTTP 500"}) == "");
  CHECK(extract_payload("\\documentclass{a}\\begin{document}text\\end{document}", route).outcome.grobid == "");
  CHECK(read("none.pdf").outcome.reason == "cannot be read");
}
