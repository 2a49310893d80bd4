#pragma once
// arXiv: metadata as Atom (https://info.arxiv.org/help/api/user-manual.html), licences by OAI-PMH, e-print sources.
#include <map>
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/paper.h"

namespace eddy::crawl::arxiv {

constexpr std::size_t kBatch = 100;  ///< ids a request

Ask metadata(const std::vector<std::string>& ids);
Ask licence(const std::string& id);
/// The source as its authors sent it in: an archive, a single gzipped file, or a PDF.
Ask eprint(const std::string& id, int version);
Ask pdf(const std::string& id, int version);

/// The entries of a feed by their id (without version). Error entries and what cannot be read are left out.
std::map<std::string, Paper> papers(const std::string& atom);
/// Is this a feed that claims to hold nothing? arXiv now and then sends one by mistake.
bool empty_feed(const std::string& atom);
/// The licence's URL in an arXivRaw record; "" where there is none.
std::string licence_of(const std::string& oai);

}  // namespace eddy::crawl::arxiv
