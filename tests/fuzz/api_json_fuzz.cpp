// Any bytes as the JSON of Semantic Scholar, Crossref, OpenAlex and Unpaywall, each client reading all: papers that
// hold together, pages that come to an end, and a record that can be read back.
#include <cstdint>
#include <cstdlib>

#include "crawl/ask.h"
#include "crawl/crossref.h"
#include "crawl/json_text.h"
#include "crawl/open_access.h"
#include "crawl/s2.h"
#include "paper_check.h"

using namespace eddy::crawl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nlohmann::json answer = parse_answer({reinterpret_cast<const char*>(data), size});
  if (answer.is_discarded()) return 0;

  const s2::Page page = s2::page(answer);
  for (const Paper& p : page.papers) {
    eddy_fuzz::check(p);
    if (p.id().empty()) std::abort();
    s2::name_of(p);
  }
  if (page.next && *page.next <= int_of(answer, "offset")) std::abort();  // would never end
  if (page.papers.size() + static_cast<std::size_t>(page.unnamed) != array_of(answer, "data").size()) std::abort();
  const auto batch = s2::batch_papers(answer, 3);
  if (batch.size() != 3) std::abort();
  for (const auto& p : batch)
    if (p) eddy_fuzz::check(*p);
  if (const auto p = s2::matched(answer)) eddy_fuzz::check(*p);
  for (const auto& a : s2::authors(answer))
    if (a.id.empty()) std::abort();

  const crossref::Work work = crossref::work_of(answer);
  eddy_fuzz::check(work.paper);
  for (const Paper& p : work.references) {
    eddy_fuzz::check(p);
    if (p.id().empty()) std::abort();
  }
  eddy_fuzz::check(openalex::paper(answer));
  eddy_fuzz::check(unpaywall::paper(answer));

  Record record;
  record.key = "s2 GET /paper";
  record.channel = "s2";
  record.ok = true;
  record.json = answer;
  const std::string line = record.line();
  if (line.find('\n') != line.size() - 1) std::abort();
  if (Record::parse(line, "record").line() != line) std::abort();
  return 0;
}
