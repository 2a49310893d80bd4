// A server for the tests of eddy-crawl, in a process of its own (it outlives crawls that are killed): speaks the
// formats of all services over a made-up literature (world.h), plans faults, and logs every request as it arrives.
//   crawl-test-server PORT_FILE LOG_FILE PAPERS FAULTS     FAULTS: none, passing (gone at the second attempt), lasting
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/secret.h"
#include "world.h"

using eddy_test::World;
using eddy_test::WorldPaper;
using Json = nlohmann::json;
using Request = httplib::Request;
using Response = httplib::Response;

namespace {

constexpr int kPage = 3;  // fewer than asked for: clients must follow `next`

struct Server {
  World world;
  std::string faults;
  std::FILE* log;
  std::mutex mutex{};
  std::map<std::string, int> hits{};
  httplib::Server http{};
  std::string bomb{};
  int port = 0;

  Json entry(int i) const;
  void routes();
  bool fault(const Request& q, Response& r, const std::string& service);
  void answer(const Request& q, Response& r, const std::string& body, const char* type) const;
  void s2(const Request& q, Response& r);
  void arxiv(const Request& q, Response& r);
  void crossref(const Request& q, Response& r);
  void openalex(const Request& q, Response& r);
  void unpaywall(const Request& q, Response& r);
  void copies(const Request& q, Response& r);
};

std::string after(const std::string& text, const std::string& prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : "";
}
/// The target with what it was sent as: httplib decodes paths.
std::string decoded_path(const Request& q, const std::string& prefix) {
  return after(q.path, prefix);
}

void not_found(Response& r) {
  r.status = 404;
  r.set_content("{\"error\": \"not found\"}", "application/json");
}

/// Sends half of the body, says there is more, and hangs up.
void truncate(Response& r, const std::string& body, const char* type) {
  r.set_content_provider(body.size() + 1000, type, [body](std::size_t offset, std::size_t, httplib::DataSink& sink) {
    if (offset == 0) {
      sink.write(body.data(), body.size() / 2);
      return true;
    }
    return false;
  });
}

/// One of a bundle of faults by the target's hash, on its first attempt. Returns true when it has answered.
bool Server::fault(const Request& q, Response& r, const std::string& service) {
  const std::string target = q.target + q.body;
  const auto kind = eddy::xxh3(target) % 16;
  const bool page = service.find(':') != std::string::npos;  // where a page of HTML is the answer, for good
  int hit = 0;
  bool spoilt = false;
  {
    const std::lock_guard hold(mutex);
    hit = hits[target]++;
    spoilt = (faults == "lasting" && kind == 11) ||
             (faults != "none" && hit == 0 && kind < 7 && !(page && (kind == 3 || kind == 5)));
    const double t = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::fprintf(log, "%s\n",
                 Json{{"t", t},
                      {"service", service},
                      {"method", q.method},
                      {"target", q.target},
                      {"body", q.body.empty() ? "" : eddy::hex64(eddy::xxh3(q.body))},
                      {"fault", spoilt},
                      {"agent", q.get_header_value("User-Agent")},
                      {"key", q.get_header_value("x-api-key")}}
                     .dump()
                     .c_str());
    std::fflush(log);
  }
  if (service == "crossref") {
    r.set_header("x-rate-limit-limit", "40");
    r.set_header("x-rate-limit-interval", "1s");
    r.set_header("x-concurrency-limit", "1");
  }
  if (!spoilt) return false;
  if (faults == "lasting" && kind == 11) {
    r.status = 500;
    r.set_content("{}", "application/json");
    return true;
  }
  switch (kind) {
    case 0:
      r.status = 429;
      r.set_content("{\"message\": \"Too Many Requests\", \"code\": \"429\"}", "application/json");
      return true;
    case 1: {
      r.status = 429;
      r.set_header("Retry-After", "1");
      return true;
    }
    case 2:
      r.status = 503;
      r.set_content("<html>try later</html>", "text/html");
      return true;
    case 3:
      r.set_content("<html>please enable cookies</html>", "text/html");
      return true;
    case 4:
      truncate(r, "{\"data\": [", "application/json");
      return true;
    case 5:
      r.set_content("{\"data\": [", "application/json");
      return true;
    case 6:
      r.status = 504;
      r.set_content("<html><body>504 Gateway Time-out", "text/html");
      return true;
    default:
      return false;
  }
}

void Server::answer(const Request& q, Response& r, const std::string& body, const char* type) const {
  const bool packed = q.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  if (packed) r.set_header("Content-Encoding", "gzip");
  // A wrong content type now and then: bodies count, not what they are called.
  r.set_content(packed ? eddy_test::gzip(body) : body, eddy::xxh3(q.target) % 5 == 0 ? "text/plain" : type);
}

Json Server::entry(int i) const {
  const WorldPaper p = world.paper(i);
  Json ids{{"CorpusId", 1000 + i}};
  if (!p.doi.empty()) ids["DOI"] = p.doi;
  if (!p.arxiv.empty()) ids["ArXiv"] = p.arxiv;
  return {{"paperId", p.s2}, {"externalIds", ids}, {"title", p.title}, {"year", p.year}};
}

void Server::s2(const Request& q, Response& r) {
  if (fault(q, r, "s2")) return;
  const int offset = std::atoi(q.get_param_value("offset").c_str());
  if (q.path == "/s2/paper/batch") {
    Json out = Json::array();
    const Json asked = Json::parse(q.body);
    for (const auto& id : asked["ids"]) {
      const int i = world.by_name(id);
      if (i < 0 || !world.paper(i).at_s2) {
        out.push_back(nullptr);
        continue;
      }
      const WorldPaper p = world.paper(i);
      Json e = entry(i);
      e["abstract"] = p.abstract.empty() ? Json() : Json(p.abstract);
      e["publicationDate"] = i % 5 == 1 ? Json() : Json(p.date);
      e["venue"] = i % 4 == 0 ? "Journal of Tests" : "";
      e["authors"] = {{{"authorId", "7"}, {"name", "Ada Test"}}, {{"authorId", std::to_string(i)}, {"name", "B. Co"}}};
      e["fieldsOfStudy"] = i % 6 == 5 ? Json() : Json{"Physics"};
      e["openAccessPdf"] = nullptr;
      out.push_back(e);
    }
    return answer(q, r, out.dump(), "application/json");
  }
  if (q.path == "/s2/author/search")
    return answer(q, r,
                  Json{{"total", 2},
                       {"offset", 0},
                       {"data",
                        {{{"authorId", "8"}, {"name", "Ada Test"}, {"paperCount", 1}},
                         {{"authorId", "7"}, {"name", "Ada Test"}, {"paperCount", 9}}}}}
                      .dump(),
                  "application/json");
  if (q.path == "/s2/author/7/papers") {
    Json page{{"offset", offset}, {"data", Json::array()}};
    for (int i = offset; i < std::min(5, offset + kPage); ++i) page["data"].push_back(entry(i));
    if (offset + kPage < 5) page["next"] = offset + kPage;
    return answer(q, r, page.dump(), "application/json");
  }
  if (q.path == "/s2/paper/search/match") {
    for (int i = 0; i < world.size(); ++i)
      if (world.paper(i).title == q.get_param_value("query"))
        return answer(q, r, Json{{"data", {entry(i)}}}.dump(), "application/json");
    return not_found(r);
  }
  std::string name = decoded_path(q, "/s2/paper/");
  const bool citations = name.ends_with("/citations");
  if (!citations && !name.ends_with("/references")) return not_found(r);
  name.resize(name.rfind('/'));
  const int i = world.by_name(name);
  if (i < 0 || !world.paper(i).at_s2) return not_found(r);
  std::vector<int> all = world.paper(i).references;
  if (citations) {
    all.clear();
    for (int k = 0; k < world.size(); ++k)
      for (const int cited : world.paper(k).references)
        if (cited == i) all.push_back(k);
  }
  if (all.empty()) return answer(q, r, "{\"total\": 0, \"offset\": 0}", "application/json");
  Json page{{"offset", offset}, {"data", Json::array()}};
  const char* side = citations ? "citingPaper" : "citedPaper";
  if (offset == 0) page["data"].push_back({{side, {{"paperId", nullptr}, {"title", "Private communication"}}}});
  for (int k = offset; k < std::min<int>(static_cast<int>(all.size()), offset + kPage); ++k)
    page["data"].push_back({{side, entry(all[static_cast<std::size_t>(k)])}});
  if (offset + kPage < static_cast<int>(all.size())) page["next"] = offset + kPage;
  answer(q, r, page.dump(), "application/json");
}

void Server::arxiv(const Request& q, Response& r) {
  if (fault(q, r, "arxiv")) return;
  if (q.path == "/arxiv/api/query") {
    std::string feed =
        "<?xml version='1.0' encoding='UTF-8'?>\n<feed xmlns:arxiv=\"http://arxiv.org/schemas/atom\" "
        "xmlns=\"http://www.w3.org/2005/Atom\">\n<title>arXiv Query</title>\n";
    const std::string list = q.get_param_value("id_list");
    bool first_time = false;
    if (faults != "none") {
      const std::lock_guard hold(mutex);
      first_time = hits["feed " + list]++ == 0;
    }
    for (std::size_t at = 0; at < list.size() && !first_time; at = std::min(list.size(), list.find(',', at)) + 1) {
      const int i = world.by_arxiv(list.substr(at, list.find(',', at) - at));
      if (i < 0) continue;
      const WorldPaper p = world.paper(i);
      feed += "<entry><id>http://arxiv.org/abs/" + p.arxiv + "v" + std::to_string(1 + i % 3) + "</id><title>" +
              p.title + "</title><summary>" + (p.abstract.empty() ? "From arXiv." : p.abstract) +
              "</summary><published>" + p.date +
              "T00:00:00Z</published><author><name>Ada Test</name></author><category term=\"math.AP\"/>"
              "<category term=\"physics.flu-dyn\"/><arxiv:primary_category term=\"physics.flu-dyn\"/>" +
              (p.doi.empty() ? "" : "<arxiv:doi>" + p.doi + "</arxiv:doi>") + "</entry>\n";
    }
    return answer(q, r, feed + "</feed>\n", "application/atom+xml");
  }
  if (q.path == "/arxiv/oai2") {
    const int i = world.by_arxiv(after(q.get_param_value("identifier"), "oai:arXiv.org:"));
    return answer(
        q, r,
        "<?xml version=\"1.0\"?><OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\"><GetRecord><record><metadata>"
        "<arXivRaw xmlns=\"http://arxiv.org/OAI/arXivRaw/\"><license>http://" +
            std::string(i % 4 == 0 ? "creativecommons.org/licenses/by/4.0/"
                                   : "arxiv.org/licenses/nonexclusive-distrib/1.0/") +
            "</license></arXivRaw></metadata></record></GetRecord></OAI-PMH>",
        "text/xml");
  }
  const bool source = q.path.starts_with("/arxiv/e-print/");
  const int i = world.by_arxiv(after(q.path, source ? "/arxiv/e-print/" : "/arxiv/pdf/"));
  const std::string body = i < 0 ? "" : source ? world.eprint(i) : world.pdf(i);
  if (body.empty()) return not_found(r);
  if (faults == "lasting" && source && i % 22 == 8) {  // 80 MB of zeros in some 80 kB
    return r.set_content(bomb, "application/gzip");
  }
  r.set_content(body, "application/octet-stream");
}

void Server::crossref(const Request& q, Response& r) {
  if (fault(q, r, "crossref")) return;
  const int i = world.by_doi(decoded_path(q, "/crossref/works/"));
  if (i < 0) {
    r.status = 404;
    r.set_content("Resource not found.", "text/plain");
    return;
  }
  const WorldPaper p = world.paper(i);
  Json references = Json::array();
  for (const int k : p.references) {
    const std::string doi = world.paper(k).doi;
    references.push_back(doi.empty() ? Json{{"unstructured", "somebody"}} : Json{{"DOI", doi}, {"year", "1999"}});
  }
  const Json message{{"DOI", p.doi},
                     {"title", {p.title}},
                     {"author", {{{"given", "Ada"}, {"family", "Test"}}}},
                     {"issued", {{"date-parts", {{p.year, 1 + i % 12, 1 + i % 28}}}}},
                     {"container-title", {"Journal of Tests"}},
                     {"abstract", "<jats:p>From Crossref, &lt;checked&gt;.</jats:p>"},
                     {"license", {{{"URL", "https://example.org/licence"}, {"content-version", "vor"}}}},
                     {"reference", references}};
  answer(q, r, Json{{"status", "ok"}, {"message", message}}.dump(), "application/json");
}

void Server::openalex(const Request& q, Response& r) {
  if (fault(q, r, "openalex")) return;
  const int i = world.by_doi(decoded_path(q, "/openalex/works/doi:"));
  if (i < 0) return not_found(r);
  if (i % 5 == 0 && !q.has_param("merged")) {  // 301 for merged ids, the query kept
    r.status = 301;
    r.set_header("Location", q.target + "&merged=1");
    return;
  }
  const std::string copy = "http://localhost:" + std::to_string(port) + "/copies/" + std::to_string(i) + ".pdf";
  answer(q, r,
         Json{{"id", "https://openalex.org/W" + std::to_string(i)},
              {"title", world.paper(i).title},
              {"open_access", {{"is_oa", true}, {"oa_url", copy}}},
              {"best_oa_location", {{"pdf_url", copy}, {"license", "cc-by"}}}}
             .dump(),
         "application/json");
}

void Server::unpaywall(const Request& q, Response& r) {
  if (fault(q, r, "unpaywall")) return;
  const int i = world.by_doi(decoded_path(q, "/unpaywall/"));
  if (i < 0 || !q.has_param("email")) return not_found(r);
  const std::string copy =
      "http://127.0.0.1:" + std::to_string(port) + "/copies/" + std::to_string(i) + ".pdf?from=unpaywall";
  const Json best = i % 9 == 0 ? Json() : Json{{"url_for_pdf", copy}, {"license", "cc-by-nc"}};
  answer(q, r, Json{{"doi", world.paper(i).doi}, {"is_oa", true}, {"best_oa_location", best}}.dump(),
         "application/json");
}

void Server::copies(const Request& q, Response& r) {
  if (fault(q, r, q.get_header_value("Host"))) return;
  const int i = std::atoi(after(q.path, "/copies/").c_str());
  if (i % 4 == 1) return r.set_content("<html>Buy this article</html>", "text/html");
  if (i % 4 == 3 && q.has_param("from") && !q.has_param("hop")) return r.set_redirect(q.path + "?from=unpaywall&hop=1");
  if (faults == "lasting" && i % 4 == 3) return r.set_redirect(q.path + "?from=unpaywall&hop=1");  // in a circle
  r.set_content(world.pdf(i), "application/pdf");
}

void Server::routes() {
  using Handler = void (Server::*)(const Request&, Response&);
  for (const auto& [prefix, handler] :
       std::initializer_list<std::pair<const char*, Handler>>{{"/s2/.*", &Server::s2},
                                                              {"/arxiv/.*", &Server::arxiv},
                                                              {"/crossref/.*", &Server::crossref},
                                                              {"/openalex/.*", &Server::openalex},
                                                              {"/unpaywall/.*", &Server::unpaywall},
                                                              {"/copies/.*", &Server::copies}}) {
    const auto call = [this, h = handler](const Request& q, Response& r) { (this->*h)(q, r); };
    http.Get(prefix, call);
    http.Post(prefix, call);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  std::FILE* log = std::fopen(argv[2], "a");
  if (!log) return 1;
  Server server{World(std::atoi(argv[3])), argv[4], log};
  if (server.faults == "lasting") server.bomb = eddy_test::gzip_zeros(80u << 20);
  server.routes();
  server.http.set_keep_alive_max_count(100000);
  server.port = server.http.bind_to_any_port("127.0.0.1");
  std::ofstream(std::string(argv[1]) + ".new") << server.port << "\n";
  std::rename((std::string(argv[1]) + ".new").c_str(), argv[1]);
  return server.http.listen_after_bind() ? 0 : 1;
}
