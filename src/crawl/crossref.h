#pragma once
// Crossref's works (https://api.crossref.org/swagger-ui): licences, dates, references.
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/paper.h"

namespace eddy::crawl::crossref {

Ask work(const std::string& doi);

struct Work {
  Paper paper;
  std::vector<Paper> references;  ///< those with a DOI
  int unnamed = 0;                ///< those without
};
Work work_of(const nlohmann::json& answer);

}  // namespace eddy::crawl::crossref
