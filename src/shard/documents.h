#pragma once
// From a unit of input to its documents, and from a document to token ids.
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extract/article.h"
#include "shard/inputs.h"
#include "shard/kind.h"
#include "tokenize/tokenizer.h"

namespace eddy::shard {

/// A document of text, or a prompt and its response; cleaned.
struct Document {
  std::optional<std::string> prompt{};
  std::string text{};                  ///< the text, or the response
  std::optional<std::string> think{};  ///< of a pair made from a paper: what stands in <think> before the response
  bool trusted = true;                 ///< a response may open <think> itself; false where it is a paper's own words
  DocKind kind = DocKind::text;
  extract::Article article{};  ///< a file's structure; empty for lines of .jsonl

  /// XXH3 of the content: decides the split of a document that belongs to no paper with an id.
  std::uint64_t hash() const;
};

/// What a unit consists of: `line` counts from 1 within the unit of a .jsonl file and is 0 for whole files.
/// `document` is null for a rejected one; `outcome` has the reason, and the counts of what cleaning changed.
using Visitor = std::function<void(std::uint64_t line, Document* document, const extract::Outcome& outcome)>;
/// Makes a pair of a line's object that has neither form of its own; false when it cannot.
using OwnPair = std::function<bool(const nlohmann::json& object, Document& document)>;
/// Calls `visit` for each document; returns how many lines a .jsonl unit has (0 for whole files).
std::uint64_t read_unit(const InputFile& file, const Unit& unit, const extract::PdfRoute& pdf, const Visitor& visit,
                        const OwnPair& own = {});

/// The lines that begin within the unit and are not blank, with their numbers (from 1, blank ones counted); returns how
/// many there are.
std::uint64_t for_each_line(const InputFile& file, const Unit& unit,
                            const std::function<void(std::uint64_t number, std::string_view line)>& visit);

/// One line of a .jsonl file: {"prompt": …, "response": …} or {"text": …}, other keys are ignored; or what `own` takes.
extract::Outcome parse_line(std::string_view line, const std::string& name, Document& document,
                            const OwnPair& own = {});

/// Token ids of documents. Text is BOS, text, EOS; a pair is BOS, <｜User｜>, prompt, <｜Assistant｜>, response, EOS; a
/// token that the tokenizer does not have is left out. The documents' own text never becomes a control token, but for
/// <think> at a trusted response's begin and the first </think> after it, and those around `think`.
class Encoder {
 public:
  explicit Encoder(tokenize::Tokenizer& tokenizer);
  struct Encoded {
    std::vector<std::uint32_t> ids;
    std::uint32_t prompt = 0;  ///< leading ids that are no targets: a pair's up to and with <｜Assistant｜>
  };
  Encoded encode(const Document& document);

 private:
  void append(std::vector<std::uint32_t>& ids, std::string_view text);
  void append_response(std::vector<std::uint32_t>& ids, const Document& document);
  tokenize::Tokenizer& tokenizer_;
  std::optional<std::uint32_t> bos_, eos_, user_, assistant_, think_, end_think_;
};

}  // namespace eddy::shard
