#include "crawl/paper.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace eddy::crawl {

std::string Paper::id() const {
  if (!arxiv.empty()) return "arxiv:" + arxiv;
  if (!doi.empty()) return "doi:" + doi;
  if (!s2.empty()) return "s2:" + s2;
  return openalex.empty() ? "" : "openalex:" + openalex;
}

void Paper::fill_from(const Paper& o) {
  const auto text = [](std::string& mine, const std::string& theirs) {
    if (mine.empty()) mine = theirs;
  };
  const auto list = [](std::vector<std::string>& mine, const std::vector<std::string>& theirs) {
    if (mine.empty()) mine = theirs;
  };
  text(doi, o.doi);
  if (arxiv.empty() || (arxiv == o.arxiv && arxiv_version == 0)) {
    text(arxiv, o.arxiv);
    if (arxiv == o.arxiv) arxiv_version = o.arxiv_version;
  }
  text(s2, o.s2);
  text(openalex, o.openalex);
  text(title, o.title);
  text(date, o.date);
  text(venue, o.venue);
  text(abstract, o.abstract);
  if (year == 0) year = o.year;
  list(authors, o.authors);
  list(fields, o.fields);
  text(licence, o.licence);
  text(arxiv_licence, o.arxiv_licence);
  for (const OpenCopy& copy : o.copies)
    if (std::none_of(copies.begin(), copies.end(), [&](const OpenCopy& c) { return c.url == copy.url; }))
      copies.push_back(copy);
}

nlohmann::json Payload::json() const {
  return {{"kind", kind}, {"media_type", media_type}, {"sha256", sha256}, {"bytes", bytes},
          {"tar", tar},   {"offset", offset},         {"member", member}};
}

Payload payload_of(const nlohmann::json& j) {
  Payload p;
  p.kind = j.at("kind");
  p.media_type = j.at("media_type");
  p.sha256 = j.at("sha256");
  p.bytes = j.at("bytes");
  p.tar = j.at("tar");
  p.offset = j.at("offset");
  p.member = j.at("member");
  return p;
}

std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (!blank)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string whole_date(const std::string& text) {
  if (text.size() < 10) return "";
  for (int i = 0; i < 10; ++i)
    if ((i == 4 || i == 7) ? text[i] != '-' : !std::isdigit(static_cast<unsigned char>(text[i]))) return "";
  const int month = std::atoi(text.substr(5, 2).c_str()), day = std::atoi(text.substr(8, 2).c_str());
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 ? text.substr(0, 10) : "";
}

int year_of(const std::string& text) {
  const auto first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const auto last = std::min(text.find_first_not_of("0123456789", first), text.size());
  return last - first <= 4 ? std::atoi(text.substr(first, last - first).c_str()) : 0;
}

}  // namespace eddy::crawl
