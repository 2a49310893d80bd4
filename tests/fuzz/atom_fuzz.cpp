// Any bytes as arXiv's answers (Atom, OAI-PMH): entries under the names they state, in the spelling that the store
// keys its records by; what is no such answer gives nothing.
#include <cstdint>
#include <cstdlib>

#include "crawl/arxiv.h"
#include "crawl/ids.h"
#include "paper_check.h"

using namespace eddy::crawl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string xml(reinterpret_cast<const char*>(data), size);
  const auto papers = arxiv::papers(xml);
  for (const auto& [id, paper] : papers) {
    eddy_fuzz::check(paper);
    if (id != paper.arxiv || paper.id() != "arxiv:" + id) std::abort();
    const auto again = parse_arxiv(id);
    if (!again || again->id != id || again->version != 0) std::abort();
  }
  if (arxiv::empty_feed(xml) && !papers.empty()) std::abort();
  eddy_fuzz::check_line(arxiv::licence_of(xml), size);
  return 0;
}
