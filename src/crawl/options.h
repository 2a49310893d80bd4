#pragma once
// Everything a crawl can be told.
#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "net/client.h"
#include "net/retry.h"

namespace eddy::crawl {

/// One service as the user sets it. Defaults are the published ones of November 2026.
struct ServiceOptions {
  bool use = true;
  std::string url;        ///< base URL
  double interval_s = 1;  ///< between two requests, where the service does not tell its rate
  std::string key_file;
};

struct CrawlOptions {
  std::vector<std::string> from;     ///< arXiv ids, DOIs, Semantic Scholar ids, BibTeX files
  std::vector<std::string> authors;  ///< from.author: Semantic Scholar author ids or names
  std::string out;

  int depth = 2;  ///< of references
  bool citations = false;

  std::int64_t max_papers = 1000;
  std::int64_t max_per_level = 0;  ///< 0: no limit
  std::uint64_t max_bytes = 0;     ///< of payloads; 0: no limit
  int year_min = 0, year_max = 0;  ///< 0: no limit
  std::vector<std::string> fields, keywords;
  double min_score = 0;

  std::vector<std::string> score_keywords;
  double weight_text = 0.5, weight_links = 0.3, weight_keywords = 0.2;

  ServiceOptions s2{true, "https://api.semanticscholar.org/graph/v1", 1, ""};
  ServiceOptions arxiv{true, "https://export.arxiv.org", 3, ""};
  ServiceOptions crossref{true, "https://api.crossref.org", 1, ""};
  ServiceOptions openalex{true, "https://api.openalex.org", 0.2, ""};
  ServiceOptions unpaywall{true, "https://api.unpaywall.org/v2", 0.2, ""};
  bool arxiv_licences = true;
  std::string contact;  ///< e-mail address for Crossref's polite pool, Unpaywall and the User-Agent

  net::ClientOptions net;
  net::RetryRules retry;
  int max_redirects = 5;
  double host_interval_s = 1;
  bool retry_failed = false;

  std::string download = "all";  ///< "all", "source", "none"
  std::uint64_t payload_bytes = 200'000'000, unpacked_bytes = 2'000'000'000, answer_bytes = 64'000'000;
  std::uint64_t segment_bytes = 1'000'000'000;
  double progress_s = 10;
  double stop_s = 20;
};

/// Declares them, parses, and validates. Returns false where --help or --version was asked. Throws Error (status 2).
bool parse_options(int argc, const char* const* argv, CrawlOptions& options, std::string& ini);

/// A service as the crawl uses it.
struct Service {
  std::string name, title, url;
  double interval_s, floor_s;
  std::string key;           ///< "" without
  std::string key_header;    ///< sent as a header of this name, or
  std::string secret_query;  ///< within the query; also the contact's address
  bool use;
};
/// The five services, keys read from the environment (S2_API_KEY, OPENALEX_API_KEY, CROSSREF_PLUS_TOKEN) or their
/// files. Throws Error (status 2) where a key would travel over unencrypted http to another machine.
std::vector<Service> make_services(const CrawlOptions& options);

}  // namespace eddy::crawl
