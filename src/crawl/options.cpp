#include "crawl/options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/units.h"

namespace eddy::crawl {
namespace {

/// Sizes as text on their way into CrawlOptions.
struct Sizes {
  std::string total = "0", payload = "200MB", unpacked = "2GB", answer = "64MB", segment = "1GB";
};

void add_service(Options& o, const std::string& name, ServiceOptions& s, bool keyed, bool optional) {
  const std::string key = "api." + name + ".";
  if (optional) o.add(key + "use", &s.use, "ask this service at all");
  o.add(key + "url", &s.url, "base URL");
  o.add(key + "interval_s", &s.interval_s,
        "seconds between two requests (never below what the service allows where its own URL is asked)", {.min = 0});
  if (keyed) o.add(key + "key_file", &s.key_file, "file of mode 0600 with the key, where the environment has none");
}

void declare(Options& o, CrawlOptions& c, Sizes& sizes) {
  o.add("from", &c.from, "where to start: arXiv ids, DOIs, Semantic Scholar ids, BibTeX files (*.bib)");
  o.add("from.author", &c.authors, "start from the publications of these: Semantic Scholar author ids or names");
  o.positional("from");
  o.add("out", &c.out, "the store's folder; one that exists is gone on with", {.required = true});
  o.add("walk.depth", &c.depth, "references of references …: how often", {.min = 0, .max = 20});
  o.add("walk.citations", &c.citations, "follow citations as well as references");
  o.add("limit.papers", &c.max_papers, "papers in all, those to start from included", {.min = 1});
  o.add("limit.per_level", &c.max_per_level, "papers a level (0: no limit)", {.min = 0});
  o.add("limit.bytes", &sizes.total, "payloads in all, e.g. 50GB (0: no limit)");
  o.add("limit.year_min", &c.year_min, "earliest year (0: any)", {.min = 0, .max = 3000});
  o.add("limit.year_max", &c.year_max, "latest year (0: any)", {.min = 0, .max = 3000});
  o.add("limit.fields", &c.fields, "fields of study, of which a paper with known fields must have one");
  o.add("limit.keywords", &c.keywords, "words, of which title or abstract must have one");
  o.add("limit.score", &c.min_score, "lowest score", {.min = 0, .max = 1});
  o.add("score.keywords", &c.score_keywords, "words that raise the score");
  o.add("score.text_weight", &c.weight_text, "weight of the likeness to the first papers' titles and abstracts",
        {.min = 0});
  o.add("score.links_weight", &c.weight_links, "weight of being cited by papers taken", {.min = 0});
  o.add("score.keywords_weight", &c.weight_keywords, "weight of score.keywords", {.min = 0});
  add_service(o, "s2", c.s2, true, false);
  add_service(o, "arxiv", c.arxiv, false, true);
  o.add("api.arxiv.licences", &c.arxiv_licences, "ask arXiv for each e-print's licence (one request each)");
  add_service(o, "crossref", c.crossref, true, true);
  add_service(o, "openalex", c.openalex, true, true);
  add_service(o, "unpaywall", c.unpaywall, false, true);
  o.add("contact", &c.contact,
        "your e-mail address, for Crossref's polite pool, Unpaywall (not asked without) and arXiv");
  o.add("net.proxy", &c.net.proxy, "proxy URL (empty: as http_proxy, https_proxy and no_proxy say)");
  o.add("net.ca_file", &c.net.ca_file, "certificates to trust (empty: the system's)");
  o.add("net.connect_s", &c.net.connect_s, "seconds to connect in", {.min = 0.1});
  o.add("net.stall_s", &c.net.stall_s, "seconds without a byte after which a transfer is given up", {.min = 1});
  o.add("net.total_s", &c.net.total_s, "seconds a transfer may take", {.min = 1});
  o.add("net.redirects", &c.max_redirects, "redirects to follow", {.min = 0, .max = 50});
  o.add("net.host_interval_s", &c.host_interval_s, "seconds between two requests to any other host", {.min = 0});
  o.add("net.answer_bytes", &sizes.answer, "largest answer of a service");
  o.add("retry.attempts", &c.retry.attempts, "attempts a request", {.min = 1, .max = 100});
  o.add("retry.base_s", &c.retry.base_s, "seconds before the second attempt; doubles with each", {.min = 0});
  o.add("retry.longest_s", &c.retry.longest_s, "longest such wait", {.min = 0});
  o.add("retry.patience_s", &c.retry.patience_s, "longest Retry-After to obey; a longer one ends the request",
        {.min = 0});
  o.add("retry.failed", &c.retry_failed, "ask again what an earlier run gave up", {.command_line_only = true});
  o.add("payload.download", &c.download, "all: sources, else PDFs; source: arXiv's sources only; none",
        {.choices = {"all", "source", "none"}});
  o.add("payload.bytes", &sizes.payload, "largest download");
  o.add("payload.unpacked", &sizes.unpacked, "largest archive, unpacked");
  o.add("payload.segment", &sizes.segment, "size of the tar files");
  o.add("run.progress_s", &c.progress_s, "seconds between two lines of progress", {.min = 0.1});
  o.add("run.stop_s", &c.stop_s, "seconds that transfers under way get when the run is asked to stop", {.min = 0});
}

}  // namespace

bool parse_options(int argc, const char* const* argv, CrawlOptions& c, std::string& ini) {
  Sizes sizes;
  Options o(
      "eddy-crawl", "--from ID… --out DIR [--config FILE]",
      "Walks citation graphs from seed papers and stores metadata, LaTeX sources and PDFs. Run it under mpiexec to ask "
      "several services at a time. Killed or stopped, it goes on where it was when it is started again with the same "
      "--out.\nKeys: environment variables S2_API_KEY, OPENALEX_API_KEY, CROSSREF_PLUS_TOKEN, or api.*.key_file.");
  declare(o, c, sizes);
  if (!o.parse(argc, argv)) return false;
  c.max_bytes = parse_bytes(sizes.total, "limit.bytes");
  c.payload_bytes = parse_bytes(sizes.payload, "payload.bytes");
  c.unpacked_bytes = parse_bytes(sizes.unpacked, "payload.unpacked");
  c.answer_bytes = parse_bytes(sizes.answer, "net.answer_bytes");
  c.segment_bytes = parse_bytes(sizes.segment, "payload.segment");
  if (c.out.empty()) fail_input("--out is empty: name the store's folder");
  if (c.from.empty() && c.authors.empty())
    fail_input("nothing to start from: give --from (arXiv ids, DOIs, Semantic Scholar ids, *.bib) or --from.author");
  if (c.year_min > 0 && c.year_max > 0 && c.year_min > c.year_max)
    fail_input("limit.year_min = {} is later than limit.year_max = {}", c.year_min, c.year_max);
  if (c.weight_text + c.weight_links + c.weight_keywords <= 0)
    fail_input("the three score.*_weight are all 0: give one of them a value");
  if (!c.contact.empty() && (c.contact.find('@') == std::string::npos || c.contact.find(' ') != std::string::npos))
    fail_input("contact = '{}' is no e-mail address", c.contact);
  if (c.net.proxy.find('@') != std::string::npos)
    fail_input(
        "net.proxy: a password here would be shown by ps and kept in config.ini; set https_proxy in the "
        "environment instead");
  ini = o.ini();
  return true;
}

std::vector<Service> make_services(const CrawlOptions& c) {
  const auto service = [](const std::string& name, const std::string& title, const ServiceOptions& s,
                          const std::string& own_host, double floor, const std::string& variable) {
    Service made{name, title, s.url, s.interval_s, 0, "", "", "", s.use};
    while (made.url.ends_with('/')) made.url.pop_back();
    const std::string host = net::host_of(made.url);
    if (host.empty()) fail_input("api.{}.url = '{}' is no http or https URL", name, s.url);
    if (made.url.find('@') != std::string::npos)
      fail_input("api.{}.url: a base URL holds no password and no '@'; see api.*.key_file", name);
    if (host == own_host || host.ends_with("." + own_host)) made.floor_s = floor;
    if (!variable.empty() && s.use) made.key = read_secret(variable, s.key_file);
    if (!made.key.empty() && made.url.starts_with("http:") && !net::is_loopback(host))
      fail_input("api.{}.url = '{}': the key would be sent unencrypted; use https", name, s.url);
    return made;
  };
  std::vector<Service> all{service("s2", "Semantic Scholar", c.s2, "semanticscholar.org", 1, "S2_API_KEY"),
                           service("arxiv", "arXiv", c.arxiv, "arxiv.org", 3, ""),
                           service("crossref", "Crossref", c.crossref, "crossref.org", 0.02, "CROSSREF_PLUS_TOKEN"),
                           service("openalex", "OpenAlex", c.openalex, "openalex.org", 0.1, "OPENALEX_API_KEY"),
                           service("unpaywall", "Unpaywall", c.unpaywall, "unpaywall.org", 0.1, "")};
  all[0].key_header = "x-api-key";
  all[2].key_header = "Crossref-Plus-API-Token";
  const std::string contact = percent_encode(c.contact, "@");
  if (!contact.empty()) {
    all[2].secret_query = "mailto=" + contact;
    all[3].secret_query = "mailto=" + contact;
    all[4].secret_query = "email=" + contact;
  }
  if (!all[3].key.empty())
    all[3].secret_query += (all[3].secret_query.empty() ? "" : "&") + ("api_key=" + percent_encode(all[3].key));
  if (contact.empty()) all[4].use = false;  // Unpaywall answers nobody without an address
  return all;
}

}  // namespace eddy::crawl
