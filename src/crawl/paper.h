#pragma once
// What is known of one paper.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace eddy::crawl {

/// A copy of the paper that anybody may read.
struct OpenCopy {
  std::string url, licence;
};

/// Empty strings and zeros: not known.
struct Paper {
  std::string doi, arxiv, s2, openalex;
  int arxiv_version = 0;
  std::string title, date, venue, abstract;
  int year = 0;
  std::vector<std::string> authors, fields;
  std::string licence;        ///< of the version of record, or of the copy that arXiv has
  std::string arxiv_licence;  ///< of arXiv's copy
  std::vector<OpenCopy> copies;

  /// "arxiv:…", "doi:…", "s2:…" or "openalex:…", the first that there is; "" for a paper without any.
  std::string id() const;
  /// Takes from `other` what is not known here.
  void fill_from(const Paper& other);
};

/// Where a paper's bytes lie: as in papers.jsonl.
struct Payload {
  std::string kind;        ///< "latex" (an archive), "tex" (one gzipped file), "pdf"
  std::string media_type;  ///< "application/gzip", "application/pdf"
  std::string sha256;      ///< of the bytes as they were sent, hexadecimal
  std::uint64_t bytes = 0;
  std::string tar, member;
  std::uint64_t offset = 0;  ///< of the member's data in the tar
  nlohmann::json json() const;
};
Payload payload_of(const nlohmann::json& json);

/// Removes line ends and doubled blanks.
std::string one_line(const std::string& text);
/// "2021-03-04…" → "2021-03-04"; "" for what is no whole date.
std::string whole_date(const std::string& text);
/// "1998", "1998a", " 1998" → 1998; 0 for what does not begin with a year of at most four digits.
int year_of(const std::string& text);

}  // namespace eddy::crawl
