#pragma once
// What is known of the paper that documents come from, and the papers of a crawl's store.
//
// A store is a folder with papers.jsonl, one JSON object a line: "id", "title", "authors", "doi", "arxiv", "date",
// "year", "fields", "abstract", "licence", …, and "payload": {"tar", "offset", "bytes", "kind", "sha256"}, which names
// a stretch of a tar file below the folder that holds the paper's sources or PDF, or null.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extract/article.h"
#include "shard/kind.h"

namespace eddy::shard {

struct Paper {
  std::string id;  ///< merged identity; empty for a local file
  std::string title, abstract, licence = "unknown";
  std::vector<std::string> authors, fields;
  nlohmann::json line;  ///< what manifest.jsonl keeps of it

  struct Payload {
    std::string tar;  ///< relative to the store
    std::uint64_t offset = 0, bytes = 0;
    bool pdf = false;
    std::string sha256;  ///< of the bytes, hexadecimal; empty: not said
  };
  std::optional<Payload> payload;

  /// Decides its split; 0 without an id.
  std::uint64_t split_key() const;
  /// One key for each name it goes by: merged id, DOI, arXiv id without version, Semantic Scholar and OpenAlex ids, and
  /// title with year (of at least four words): papers that share one are the same.
  std::vector<std::uint64_t> identities() const;
};

/// A line of papers.jsonl. Throws Error (status 2) for one that is none, naming `where`.
Paper parse_paper(std::string_view line, const std::string& where);
/// True for the first line of a store's papers.jsonl (which no {"text"} or {"prompt", "response"} line is).
bool is_store_line(std::string_view line);

/// The payload's bytes below the store's folder, extracted; a reason where they cannot be had.
extract::ArticleOutcome extract_paper(const Paper& paper, const std::filesystem::path& store,
                                      const extract::PdfRoute& pdf);

/// Licences by short names: "http://creativecommons.org/licenses/by/4.0/" → "cc-by-4.0"; arXiv's own →
/// "arxiv-nonexclusive"; nothing → "unknown"; others in lower case.
std::string licence_name(std::string_view licence);
/// `licence` (a short name) is in the list; an entry ending in * allows all that begin so. An empty list allows all.
bool licence_allowed(const std::vector<std::string>& allowed, std::string_view licence);

}  // namespace eddy::shard
