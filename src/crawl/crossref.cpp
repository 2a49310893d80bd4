#include "crawl/crossref.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/secret.h"
#include "crawl/ids.h"
#include "crawl/json_text.h"

namespace eddy::crawl::crossref {
namespace {

std::string first_text(const nlohmann::json& j, const char* name) {
  const auto& list = array_of(j, name);
  return !list.empty() && list[0].is_string() ? one_line(list[0]) : "";
}

/// The five entities of XML as their characters; one pass, however many there are.
std::string resolved(std::string_view text) {
  constexpr std::pair<std::string_view, char> kEntities[] = {
      {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto at = std::find_if(std::begin(kEntities), std::end(kEntities),
                                 [&](const auto& e) { return text.substr(i).starts_with(e.first); });
    out += at == std::end(kEntities) ? text[i] : at->second;
    i += at == std::end(kEntities) ? 1 : at->first.size();
  }
  return out;
}

/// Text of a JATS abstract: tags dropped, the five entities resolved, a leading "Abstract" dropped.
std::string plain(const std::string& jats) {
  std::string out;
  for (std::size_t i = 0; i < jats.size(); ++i) {
    if (jats[i] == '<' && i + 1 < jats.size() &&
        (std::isalpha(static_cast<unsigned char>(jats[i + 1])) || jats[i + 1] == '/')) {
      const auto end = jats.find('>', i);
      if (end == std::string::npos) break;
      out += ' ';
      i = end;
    } else {
      out += jats[i];
    }
  }
  out = one_line(resolved(out));
  if (!out.empty() && out.front() == ' ') out.erase(0, 1);
  if (out.starts_with("Abstract ")) out.erase(0, 9);
  return out;
}

void read_date(const nlohmann::json& j, Paper& p) {
  const auto& parts = array_of(field(j, "issued"), "date-parts");
  if (parts.empty() || !parts[0].is_array() || parts[0].empty() || !parts[0][0].is_number_integer()) return;
  const auto part = [&d = parts[0]](std::size_t i) {
    const bool whole = i < d.size() && d[i].is_number_integer() && std::abs(d[i].get<double>()) < 1e9;
    return whole ? d[i].get<int>() : 0;
  };
  p.year = part(0);
  p.date = whole_date(fmt::format("{:04}-{:02}-{:02}", p.year, part(1), part(2)));
}

/// The licence of the version of record, else of any version.
std::string licence(const nlohmann::json& j) {
  std::string any;
  for (const auto& l : array_of(j, "license")) {
    const std::string url = text_of(l, "URL");
    if (url.empty()) continue;
    if (text_of(l, "content-version") == "vor") return url;
    if (any.empty()) any = url;
  }
  return any;
}

}  // namespace

Ask work(const std::string& doi) {
  return {"crossref", "GET", "/works/" + percent_encode(doi), "", Form::json};
}

Work work_of(const nlohmann::json& answer) {
  const auto& m = field(answer, "message");
  Work w;
  Paper& p = w.paper;
  p.doi = normal_doi(text_of(m, "DOI"));
  p.title = first_text(m, "title");
  p.venue = first_text(m, "container-title");
  p.abstract = plain(text_of(m, "abstract"));
  p.licence = licence(m);
  read_date(m, p);
  for (const auto& a : array_of(m, "author")) {
    const std::string given = text_of(a, "given"), family = text_of(a, "family"), name = text_of(a, "name");
    const std::string whole = one_line(!family.empty() ? given + " " + family : name);
    if (!whole.empty()) p.authors.push_back(whole.front() == ' ' ? whole.substr(1) : whole);
  }
  for (const auto& r : array_of(m, "reference")) {
    Paper cited;
    cited.doi = normal_doi(text_of(r, "DOI"));
    if (const auto id = parse_arxiv(cited.doi)) {
      cited.arxiv = id->id;
      cited.doi.clear();
    }
    cited.title = one_line(text_of(r, "article-title"));
    cited.year = year_of(text_of(r, "year"));
    if (cited.id().empty())
      ++w.unnamed;
    else
      w.references.push_back(std::move(cited));
  }
  return w;
}

}  // namespace eddy::crawl::crossref
