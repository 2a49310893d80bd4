#pragma once
// Names of papers, in one spelling each.
#include <optional>
#include <string>
#include <string_view>

namespace eddy::crawl {

/// "https://doi.org/10.1000/ABC", "doi:10.1000/abc" → "10.1000/abc"; "" for what is no DOI. DOIs are case-insensitive.
std::string normal_doi(std::string_view text);

struct ArxivId {
  std::string id;   ///< "2101.00001", "hep-th/9901001": without version and subject class
  int version = 0;  ///< 0: none was given
};
/// "arXiv:2101.00001v2", "https://arxiv.org/pdf/hep-th/9901001v1.pdf", "math.GT/0309136", "10.48550/arXiv.2101.00001".
std::optional<ArxivId> parse_arxiv(std::string_view text);

/// A Semantic Scholar paper id: 40 hexadecimal digits.
bool is_s2_id(std::string_view text);

/// A title as it is compared: letters and digits in lower case (other bytes of UTF-8 as they are), markup and LaTeX
/// commands dropped, single blanks. "" for titles too short to tell papers apart (below three words or 15 letters).
std::string title_key(std::string_view title);

}  // namespace eddy::crawl
