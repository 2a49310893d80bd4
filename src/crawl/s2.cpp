#include "crawl/s2.h"

#include <fmt/format.h>

#include "base/secret.h"
#include "crawl/ids.h"
#include "crawl/json_text.h"

namespace eddy::crawl::s2 {
namespace {
constexpr const char* kShort = "paperId,externalIds,title,year";
constexpr const char* kLong =
    "paperId,externalIds,title,abstract,year,publicationDate,venue,authors,fieldsOfStudy,openAccessPdf";

/// DOIs stand unescaped in the path; what would end it is escaped.
std::string path_of(const std::string& paper) {
  return percent_encode(paper, "/:;()@!$&'*+,=");
}
}  // namespace

std::string name_of(const Paper& p) {
  if (!p.s2.empty()) return p.s2;
  if (!p.arxiv.empty()) return "ARXIV:" + p.arxiv;
  return p.doi.empty() ? "" : "DOI:" + p.doi;
}

Ask links(const std::string& paper, bool citations, int offset) {
  return {"s2", "GET",
          fmt::format("/paper/{}/{}?fields={}&offset={}&limit={}", path_of(paper),
                      citations ? "citations" : "references", kShort, offset, kPage),
          "", Form::json};
}

Ask batch(const std::vector<std::string>& papers) {
  return {"s2", "POST", fmt::format("/paper/batch?fields={}", kLong), nlohmann::json{{"ids", papers}}.dump(),
          Form::json};
}

Ask author_papers(const std::string& author, int offset) {
  return {"s2", "GET",
          fmt::format("/author/{}/papers?fields={}&offset={}&limit={}", percent_encode(author), kShort, offset,
                      kAuthorPage),
          "", Form::json};
}

Ask author_search(const std::string& name) {
  return {"s2", "GET", fmt::format("/author/search?query={}&fields=name,paperCount&limit=100", percent_encode(name)),
          "", Form::json};
}

Ask match(const std::string& title) {
  return {"s2", "GET", fmt::format("/paper/search/match?query={}&fields={}", percent_encode(title), kShort), "",
          Form::json};
}

Paper paper(const nlohmann::json& j) {
  Paper p;
  p.s2 = text_of(j, "paperId");
  const auto& ids = field(j, "externalIds");
  p.doi = normal_doi(text_of(ids, "DOI"));
  if (const auto id = parse_arxiv(text_of(ids, "ArXiv"))) p.arxiv = id->id;
  if (const auto id = parse_arxiv(p.doi)) {  // arXiv's own DOI names the e-print
    if (p.arxiv.empty()) p.arxiv = id->id;
    p.doi.clear();
  }
  p.title = one_line(text_of(j, "title"));
  p.abstract = one_line(text_of(j, "abstract"));
  p.year = int_of(j, "year");
  p.date = whole_date(text_of(j, "publicationDate"));
  p.venue = one_line(text_of(j, "venue"));
  for (const auto& a : array_of(j, "authors"))
    if (const std::string name = one_line(text_of(a, "name")); !name.empty()) p.authors.push_back(name);
  for (const auto& f : array_of(j, "fieldsOfStudy"))
    if (f.is_string()) p.fields.push_back(f);
  const auto& open = field(j, "openAccessPdf");
  if (const std::string url = text_of(open, "url"); !url.empty()) {
    if (const auto id = parse_arxiv(url)) {
      if (p.arxiv.empty()) p.arxiv = id->id;
    } else {
      p.copies.push_back({url, text_of(open, "license")});
    }
  }
  return p;
}

Page page(const nlohmann::json& answer) {
  Page result;
  for (const auto& entry : array_of(answer, "data")) {
    const auto& inner = entry.contains("citedPaper")    ? entry["citedPaper"]
                        : entry.contains("citingPaper") ? entry["citingPaper"]
                                                        : entry;
    Paper p = paper(inner);
    if (p.id().empty())
      ++result.unnamed;
    else
      result.papers.push_back(std::move(p));
  }
  const auto& next = field(answer, "next");
  const int offset = int_of(answer, "offset");
  if (next.is_number_integer() && next.get<std::int64_t>() > offset && next.get<std::int64_t>() < 1000000)
    result.next = next.get<int>();
  return result;
}

std::vector<std::optional<Paper>> batch_papers(const nlohmann::json& answer, std::size_t asked) {
  std::vector<std::optional<Paper>> papers(asked);
  for (std::size_t i = 0; answer.is_array() && i < answer.size() && i < asked; ++i)
    if (answer[i].is_object()) papers[i] = paper(answer[i]);
  return papers;
}

std::optional<Paper> matched(const nlohmann::json& answer) {
  const auto& data = array_of(answer, "data");
  if (data.empty()) return std::nullopt;
  Paper p = paper(data[0]);
  return p.id().empty() ? std::nullopt : std::optional(p);
}

std::vector<Author> authors(const nlohmann::json& answer) {
  std::vector<Author> list;
  for (const auto& a : array_of(answer, "data"))
    if (const std::string id = text_of(a, "authorId"); !id.empty())
      list.push_back({id, one_line(text_of(a, "name")), int_of(a, "paperCount")});
  return list;
}

}  // namespace eddy::crawl::s2
