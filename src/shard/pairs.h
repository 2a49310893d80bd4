#pragma once
// Prompts and responses made from the structure of a paper, worded by templates that a user can edit.
//
// The file of templates is a JSON object: for each kind a list of {"prompt", "response"} and, for theorems, "think".
// Texts hold fields in braces, which each kind fills (a template whose field is empty in a paper is not used there):
//   every kind   title, authors, abstract, field
//   summary      introduction: how the paper begins
//   section      heading, text
//   definition   term, statement
//   theorem      name ("lemma"), heading (its own title), statement, proof
//   equation     before: the paragraph before it, equation, after: the paragraph after it
//   own          any: the keys of a line of .jsonl that is neither {"text"} nor {"prompt", "response"}
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "shard/documents.h"
#include "shard/paper.h"

namespace eddy::shard {

struct PairOptions {
  std::vector<std::string> kinds{};  ///< "abstract" …; none: no pairs are made
  std::string templates{};           ///< file; empty: templates.json of configs/corpus
  bool think = false;                ///< theorems by the templates that put the proof into <think>
  std::uint64_t phrasings = 1;       ///< wordings of each pair, where there are as many templates
  std::uint64_t per_paper = 64;      ///< pairs of a paper, at most; which, is drawn
  std::uint64_t max_words = 3000;    ///< of a prompt or response; pairs with longer ones are left out
  std::uint64_t seed = 0;
  bool together = false;  ///< pairs and texts in one directory instead of two
};

class PairMaker {
 public:
  /// Throws Error (status 2) naming file, kind and field: unreadable, an unknown kind or field, no template for a kind.
  explicit PairMaker(const PairOptions& options);

  /// The pair of a line of the user's, by a template of `own` all whose fields it has (texts and numbers);
  /// nothing when there is none. Which of several that fit, is drawn by the line's words. Trusted as the user's own
  /// pairs are.
  std::optional<Document> own(const nlohmann::json& object) const;

  /// A paper's pairs in its order; a function of paper, templates and seed. Their words are not trusted.
  std::vector<Document> make(const Paper& paper, const extract::Article& article) const;

 private:
  using Fields = std::map<std::string, std::string, std::less<>>;
  struct Template {
    std::string prompt, response, think;
  };
  struct Made {
    DocKind kind;
    Fields fields;
  };
  std::vector<Made> candidates(const extract::Article& article, const Fields& common) const;
  bool wants(DocKind kind) const { return templates_.contains(kind); }
  PairOptions options_;
  std::map<DocKind, std::vector<Template>> templates_;  // of the kinds that are wanted
  std::vector<Template> own_;
};

/// configs/corpus/templates.json below the current folder, or a folder above this program's; empty when there is none.
std::filesystem::path default_templates();

}  // namespace eddy::shard
