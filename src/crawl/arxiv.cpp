#include "crawl/arxiv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <pugixml.hpp>

#include "base/secret.h"
#include "crawl/ids.h"

namespace eddy::crawl::arxiv {
namespace {

/// The name without its namespace's prefix, which the sender is free to choose.
bool named(const pugi::xml_node& node, const char* name) {
  const char* colon = std::strrchr(node.name(), ':');
  return std::strcmp(colon ? colon + 1 : node.name(), name) == 0;
}
pugi::xml_node child(const pugi::xml_node& node, const char* name) {
  return node.find_child([&](const pugi::xml_node& c) { return named(c, name); });
}
std::string text(const pugi::xml_node& node, const char* name) {
  return one_line(child(node, name).text().get());
}
std::string versioned(const std::string& id, int version) {
  return version > 0 ? fmt::format("{}v{}", id, version) : id;
}
pugi::xml_document parse(const std::string& xml) {
  pugi::xml_document document;
  document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  return document;
}

}  // namespace

Ask metadata(const std::vector<std::string>& ids) {
  return {"arxiv", "GET",
          fmt::format("/api/query?id_list={}&start=0&max_results={}",
                      percent_encode(fmt::format("{}", fmt::join(ids, ",")), ",/"), ids.size()),
          "", Form::xml};
}
Ask licence(const std::string& id) {
  return {
      "arxiv", "GET",
      fmt::format("/oai2?verb=GetRecord&identifier=oai:arXiv.org:{}&metadataPrefix=arXivRaw", percent_encode(id, "/")),
      "", Form::xml};
}
Ask eprint(const std::string& id, int version) {
  return {"arxiv", "GET", "/e-print/" + versioned(id, version), "", Form::payload};
}
Ask pdf(const std::string& id, int version) {
  return {"arxiv", "GET", "/pdf/" + versioned(id, version), "", Form::payload};
}

std::map<std::string, Paper> papers(const std::string& atom) {
  const pugi::xml_document document = parse(atom);
  std::map<std::string, Paper> found;
  for (const auto& entry : child(document, "feed").children()) {
    if (!named(entry, "entry")) continue;
    const auto id = parse_arxiv(text(entry, "id"));
    if (!id) continue;  // an error entry
    Paper p;
    p.arxiv = id->id;
    p.arxiv_version = id->version;
    p.title = text(entry, "title");
    p.abstract = text(entry, "summary");
    p.date = whole_date(text(entry, "published"));
    p.year = std::atoi(p.date.substr(0, 4).c_str());
    p.doi = normal_doi(text(entry, "doi"));
    if (parse_arxiv(p.doi)) p.doi.clear();
    p.venue = text(entry, "journal_ref");
    for (const auto& c : entry.children()) {
      if (named(c, "author")) p.authors.push_back(text(c, "name"));
      if (named(c, "category") && *c.attribute("term").value()) p.fields.push_back(c.attribute("term").value());
    }
    // The primary category first, whatever the order of the others.
    const std::string primary = child(entry, "primary_category").attribute("term").value();
    const auto at = std::find(p.fields.begin(), p.fields.end(), primary);
    if (at != p.fields.end()) std::rotate(p.fields.begin(), at, at + 1);
    found[p.arxiv] = std::move(p);
  }
  return found;
}

bool empty_feed(const std::string& atom) {
  const pugi::xml_document document = parse(atom);
  const pugi::xml_node feed = child(document, "feed");
  return feed && !child(feed, "entry");
}

std::string licence_of(const std::string& oai) {
  const pugi::xml_document document = parse(oai);
  const pugi::xml_node node = document.find_node([](const pugi::xml_node& n) { return named(n, "license"); });
  return one_line(node.text().get());
}

}  // namespace eddy::crawl::arxiv
