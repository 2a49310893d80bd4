#pragma once
// Semantic Scholar's Graph API (https://api.semanticscholar.org/api-docs/graph).
#include <optional>
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/paper.h"

namespace eddy::crawl::s2 {

constexpr int kPage = 1000;        ///< references or citations a request
constexpr int kAuthorPage = 1000;  ///< papers of an author a request
constexpr std::size_t kBatch = 500;

/// How the API names a paper: its sha, "ARXIV:…" or "DOI:…"; "" for a paper without any.
std::string name_of(const Paper& paper);

Ask links(const std::string& paper, bool citations, int offset);
Ask batch(const std::vector<std::string>& papers);
Ask author_papers(const std::string& author, int offset);
Ask author_search(const std::string& name);
Ask match(const std::string& title);

struct Page {
  std::vector<Paper> papers;
  int unnamed = 0;          ///< entries without any id
  std::optional<int> next;  ///< offset of the next page; nothing: this was the last
};
/// Of an answer to links() or author_papers(); {"total": 0, "offset": 0} without "data" is an empty page.
Page page(const nlohmann::json& answer);
/// One entry for each paper of the batch, in its order; nothing for an unknown one.
std::vector<std::optional<Paper>> batch_papers(const nlohmann::json& answer, std::size_t asked);
/// The best match of a title.
std::optional<Paper> matched(const nlohmann::json& answer);

struct Author {
  std::string id, name;
  int papers = 0;
};
std::vector<Author> authors(const nlohmann::json& answer);

/// A paper as the API describes it.
Paper paper(const nlohmann::json& json);

}  // namespace eddy::crawl::s2
