#include "crawl/open_access.h"

#include "base/secret.h"
#include "crawl/ids.h"
#include "crawl/json_text.h"

namespace eddy::crawl {
namespace {

/// A copy at arXiv is an id of the paper, to be had from arXiv; any other is an open copy.
void add_copy(Paper& p, const std::string& url, const std::string& licence) {
  if (url.empty()) return;
  if (const auto id = parse_arxiv(url)) {
    if (p.arxiv.empty()) p.arxiv = id->id;
    return;
  }
  for (const auto& copy : p.copies)
    if (copy.url == url) return;
  p.copies.push_back({url, licence});
}

}  // namespace

Ask openalex::work(const std::string& doi) {
  return {"openalex", "GET", "/works/doi:" + percent_encode(doi, "/:;()"), "", Form::json};
}

Paper openalex::paper(const nlohmann::json& j) {
  Paper p;
  const std::string id = text_of(j, "id");
  p.openalex = id.substr(id.rfind('/') + 1);
  p.title = one_line(text_of(j, "title"));
  p.date = whole_date(text_of(j, "publication_date"));
  p.year = int_of(j, "publication_year");
  for (const auto& a : array_of(j, "authorships"))
    if (const std::string name = one_line(text_of(field(a, "author"), "display_name")); !name.empty())
      p.authors.push_back(name);
  const auto& best = field(j, "best_oa_location");
  add_copy(p, text_of(best, "pdf_url"), text_of(best, "license"));
  add_copy(p, text_of(field(j, "open_access"), "oa_url"), text_of(best, "license"));
  return p;
}

Ask unpaywall::work(const std::string& doi) {
  return {"unpaywall", "GET", "/" + percent_encode(doi, "/:;()"), "", Form::json};
}

Paper unpaywall::paper(const nlohmann::json& j) {
  Paper p;
  p.title = one_line(text_of(j, "title"));
  p.year = int_of(j, "year");
  p.date = whole_date(text_of(j, "published_date"));
  const auto& best = field(j, "best_oa_location");
  add_copy(p, text_of(best, "url_for_pdf"), text_of(best, "license"));
  for (const auto& location : array_of(j, "oa_locations"))
    add_copy(p, text_of(location, "url_for_pdf"), text_of(location, "license"));
  return p;
}

}  // namespace eddy::crawl
