#pragma once
// Where a DOI's text may be read by anybody: OpenAlex (https://docs.openalex.org) and Unpaywall
// (https://unpaywall.org/products/api).
#include <string>

#include "crawl/ask.h"
#include "crawl/paper.h"

namespace eddy::crawl {

namespace openalex {
Ask work(const std::string& doi);
Paper paper(const nlohmann::json& answer);
}  // namespace openalex

namespace unpaywall {
Ask work(const std::string& doi);
Paper paper(const nlohmann::json& answer);
}  // namespace unpaywall

}  // namespace eddy::crawl
