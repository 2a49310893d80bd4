#pragma once
// What a crawl leaves behind: papers.jsonl, candidates.jsonl, report.json, report.txt (docs/formats/corpus.md).
#include <filesystem>
#include <string>
#include <vector>

#include "crawl/desk.h"
#include "crawl/walk.h"

namespace eddy::crawl {

/// One paper as papers.jsonl has it.
struct FinalPaper {
  Paper paper;
  int depth = 0;
  double score = 0;
  std::optional<Payload> payload;
  std::string licence;  ///< of the payload, or of the paper where there is none
  std::string reason;   ///< why there is no payload
  std::vector<std::string> missing() const;
  nlohmann::ordered_json json() const;
};

/// The papers taken, sorted by id. Those that turned out to be one are joined; those without a title are left out, and
/// named in `untitled`.
std::vector<FinalPaper> final_papers(const Walk& walk, std::vector<std::string>& untitled);

/// Writes the four files, each replaced at once. `finished` false: the crawl was stopped. Returns the report's text.
std::string write_results(const std::filesystem::path& folder, const Walk& walk, const Desk& desk, bool finished);

}  // namespace eddy::crawl
