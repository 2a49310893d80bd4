#pragma once
// One unit of work on one rank: its documents read, cleaned, screened, tokenized, and their pairs made.
#include <optional>
#include <string>

#include "extract/grobid.h"
#include "shard/build_options.h"
#include "shard/decontaminate.h"
#include "shard/documents.h"
#include "shard/inputs.h"
#include "shard/journal.h"
#include "shard/pairs.h"

namespace eddy::shard {

class Processor {
 public:
  /// The journal gets the ids. Throws Error (status 2) for templates or evaluation sets that cannot be used.
  Processor(const BuildOptions& options, const InputList& list, const std::vector<Unit>& units,
            tokenize::Tokenizer& tokenizer, JournalWriter& journal);
  UnitResult process(std::uint32_t unit);
  std::uint64_t documents() const { return documents_; }

 private:
  /// A document as read, or why not; `paper` null: a line of .jsonl.
  void take(std::uint64_t line, Document&& document, extract::Outcome&& outcome, const Paper* paper);
  void papers_of_store(const InputFile& file, const Unit& unit);
  /// Why a document shall not be trained on, in `outcome`; masks addresses.
  void screen(Document& document, extract::Outcome& outcome, const Paper* paper);
  void add(const Document& document, DocumentRecord record, const std::vector<std::uint64_t>& keys);
  void reject(std::uint64_t line, const extract::Outcome& outcome, const Paper* paper);

  const BuildOptions& options_;
  const InputList& list_;
  const std::vector<Unit>& units_;
  JournalWriter& journal_;
  Encoder encoder_;
  PairMaker pairs_;
  Decontaminator evaluation_;
  std::optional<text::MinHasher> hasher_;
  std::optional<extract::Grobid> grobid_;
  extract::PdfRoute pdf_;
  UnitResult result_;
  std::uint64_t documents_ = 0;
};

}  // namespace eddy::shard
