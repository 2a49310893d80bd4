#pragma once
// A GROBID server on loopback that answers by what stands in the PDF: well, or badly in one of many ways.
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "support.h"

namespace eddy_test {

/// TEI as GROBID 0.8 writes it, with this title and these further paragraphs in the first section.
inline std::string tei(const std::string& title, const std::string& paragraphs = "") {
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<TEI xml:space="preserve" xmlns="http://www.tei-c.org/ns/1.0"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:xlink="http://www.w3.org/1999/xlink">
	<teiHeader xml:lang="en">
		<fileDesc>
			<titleStmt>
				<title level="a" type="main">)" +
         title + R"(</title>
				<funder ref="#_x"><orgName type="full">A Science Foundation</orgName></funder>
			</titleStmt>
			<publicationStmt>
				<publisher/>
				<availability status="unknown"><licence/></availability>
			</publicationStmt>
			<sourceDesc>
				<biblStruct>
					<analytic>
						<author><persName><forename type="first">Ada</forename><surname>Author</surname></persName>
							<affiliation key="aff0"><orgName type="institution">University of Nowhere</orgName></affiliation></author>
						<title level="a" type="main">)" +
         title + R"(</title>
					</analytic>
					<monogr><imprint><date/></imprint></monogr>
					<idno type="MD5">0123456789ABCDEF</idno>
				</biblStruct>
			</sourceDesc>
		</fileDesc>
		<encodingDesc>
			<appInfo>
				<application version="0.8.1" ident="GROBID" when="2026-11-25T12:00+0000">
					<desc>GROBID - A machine learning software for extracting information from scholarly documents</desc>
					<ref target="https://github.com/kermitt2/grobid"/>
				</application>
			</appInfo>
		</encodingDesc>
		<profileDesc>
			<textClass><keywords><term>turbulence</term></keywords></textClass>
			<abstract>
<div xmlns="http://www.tei-c.org/ns/1.0"><p>We study the flow &amp; its decay.</p></div>
			</abstract>
		</profileDesc>
	</teiHeader>
	<text xml:lang="en">
		<body>
<div xmlns="http://www.tei-c.org/ns/1.0"><head n="1">Introduction</head><p>Flows decay <ref type="bibr" target="#b0">[1,</ref> <ref type="bibr" target="#b1">2]</ref>, as Fig. <ref type="figure" target="#fig_0">1</ref> shows
for 10<hi rend="superscript">5</hi> eddies.<ref type="foot" target="#foot_0">foot_0</ref></p>)" +
         paragraphs + R"(<p>The energy obeys</p>
<formula xml:id="formula_0">E = mc 2 ,<label>(1)</label></formula>
<p>where m is the mass.</p></div>
<div xmlns="http://www.tei-c.org/ns/1.0"><head n="2.1.">Decay of a vortex</head><p><s>It is slow.</s><s>It ends.</s></p><list>
<item>one step</item>
<item>another</item>
</list></div>
<div xmlns="http://www.tei-c.org/ns/1.0"><head>Discussion</head><p>Nothing more.</p></div>
<figure xmlns="http://www.tei-c.org/ns/1.0" xml:id="fig_0"><head>Figure 1 .</head><label>1</label><figDesc>Figure 1. The energy of the flow.</figDesc><graphic coords="1,2,3" type="bitmap"/></figure>
<figure xmlns="http://www.tei-c.org/ns/1.0" type="table" xml:id="tab_0"><head>Table II: Rates</head><label></label><figDesc><div><p><s>of decay.</s></p></div></figDesc><table><row><cell>CELL</cell><cell>12</cell></row></table></figure>
<note xmlns="http://www.tei-c.org/ns/1.0" place="foot" n="1" xml:id="foot_0"><p>Counted by hand.</p></note>
		</body>
		<back>
<div type="acknowledgement"><div><head>Acknowledgments</head><p>We thank nobody.</p></div></div>
			<div type="references">
				<listBibl>
<biblStruct xml:id="b0"><analytic><title level="a" type="main">REFERENCED TITLE</title></analytic><monogr><title level="j">J. Fluid Mech.</title></monogr></biblStruct>
				</listBibl>
			</div>
		</back>
	</text>
</TEI>
)";
}

class GrobidServer {
 public:
  GrobidServer() {
    http_.Get("/api/isalive", [this](const httplib::Request&, httplib::Response& a) {
      a.status = alive_status;
      a.set_content(alive_status == 200 ? "true" : "<html>no</html>", "text/plain");
    });
    http_.Get("/api/version", [](const httplib::Request&, httplib::Response& a) {
      a.set_content(R"({"version": "0.8.1", "revision": "abc"})", "application/json");
    });
    http_.Post("/api/processFulltextDocument", [this](const httplib::Request& r, httplib::Response& a) {
      const std::string pdf = r.has_file("input") ? r.get_file_value("input").content : "";
      const std::string look_up =
          r.has_file("consolidateHeader") ? r.get_file_value("consolidateHeader").content : "by default";
      int time = 0;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, answer] : kinds)
          if (pdf.find("(" + name) != std::string::npos) time = ++asked_[name];
        if (pdf.substr(0, 5) != "%PDF-" || pdf.substr(pdf.size() - 6) != "%%EOF\n" || look_up != "0") ++malformed_;
      }
      for (const auto& [name, answer] : kinds)
        if (pdf.find("(" + name) != std::string::npos) return answer(pdf, time, a);
      a.status = 400;
    });
    port_ = http_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    while (!http_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // stop() would be missed
  }
  ~GrobidServer() {
    stopping_ = true;
    http_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int asked(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    return asked_[kind];
  }
  int malformed() const { return malformed_; }  ///< requests that did not carry a whole PDF, or asked for look-ups

  std::atomic<int> alive_status{200};
  std::atomic<int> busy{1};  ///< how often a document of the kind "busy" is told to come again

  using Answer = std::function<void(const std::string& pdf, int time, httplib::Response&)>;
  /// By what the PDF's text begins with.
  const std::map<std::string, Answer> kinds{
      {"good", [](const std::string& pdf, int, httplib::Response& a) { good(pdf, a); }},
      {"busy",
       [this](const std::string& pdf, int time, httplib::Response& a) {
         if (time > busy) return good(pdf, a);
         a.status = 503;
         a.set_header("Retry-After", "0");
       }},
      {"fail",
       [](const std::string&, int, httplib::Response& a) {
         a.status = 500;
         a.set_content("[TIMEOUT] PDF to XML conversion timed out", "text/plain");
       }},
      {"gone", [](const std::string&, int, httplib::Response& a) { a.status = 404; }},
      {"nothing", [](const std::string&, int, httplib::Response& a) { a.status = 204; }},
      {"page",
       [](const std::string&, int, httplib::Response& a) {
         a.set_content("<!DOCTYPE html><html><body><p>It works!</p></body></html>", "text/html");
       }},
      {"torn", [](const std::string&, int,
                  httplib::Response& a) { a.set_content(tei("Torn").substr(0, 1500), "application/xml"); }},
      {"bomb",
       [](const std::string&, int, httplib::Response& a) {
         std::string dtd = "<!DOCTYPE TEI [<!ENTITY a \"lol\">";
         for (char c = 'b'; c < 'm'; ++c) {
           dtd += std::string("<!ENTITY ") + c + " \"";
           for (int i = 0; i < 10; ++i) dtd += std::string("&") + static_cast<char>(c - 1) + ";";
           dtd += "\">";
         }
         std::string xml = tei("Bomb", "<p>&l;</p>");
         a.set_content(xml.insert(xml.find("<TEI"), dtd + "]>\n"), "application/xml");
       }},
      {"huge",
       [](const std::string&, int, httplib::Response& a) {
         a.set_content(tei("Huge", "<p>" + std::string(8 << 20, 'x') + "</p>"), "application/xml");
       }},
      {"cut",
       [](const std::string&, int, httplib::Response& a) {
         a.set_content_provider(100000, "application/xml", [](std::size_t at, std::size_t, httplib::DataSink& sink) {
           return at == 0 && sink.write("<TEI>", 5);
         });
       }},
      {"slow", [this](const std::string&, int, httplib::Response&) {
         for (int i = 0; i < 600 && !stopping_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
       }}};

 private:
  static void good(const std::string& pdf, httplib::Response& a) {
    const std::size_t begin = pdf.find('(') + 1;
    a.set_content(tei("On " + pdf.substr(begin, pdf.find(')') - begin)), "application/xml");
  }
  httplib::Server http_;
  std::thread thread_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> malformed_{0};
  std::mutex mutex_;
  std::map<std::string, int> asked_;
};

}  // namespace eddy_test
