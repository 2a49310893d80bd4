#include "tokenize/tokenizer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "io/file.h"
#include "tokenize/added_tokens.h"
#include "tokenize/piece_cache.h"
#include "tokenize/string_ids.h"
#include "tokenize/tables.h"

namespace eddy::tokenize {

struct Tokenizer::Tables {
  std::string file_bytes;
  std::uint64_t hash;
  TokenTable tokens;
  MergeTable merges;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  IdMap whole_pieces{};  ///< of ignore_merges: bytes → id
  std::optional<std::uint32_t> unknown;
  bool fuse_unknown;

  Tables(std::string bytes, const Definition& d, PreTokenizer::Engine engine)
      : file_bytes(std::move(bytes)),
        hash(xxh3(file_bytes)),
        tokens(d),
        merges(d.merges),
        added(d.added),
        pre_tokenizer(d.pre_tokenizer, engine),
        unknown(d.unknown),
        fuse_unknown(d.fuse_unknown) {
    if (!d.ignore_merges) return;
    for (std::uint32_t id = 0; id < d.vocabulary.size(); ++id)
      if (const auto token = tokens.bytes_of(id)) whole_pieces.emplace(*token, id);
  }
};

/// What encoding writes to; one per clone.
struct Tokenizer::Scratch {
  PieceCache cache;
  BpeScratch bpe;
  MatchScratch match;
  std::vector<std::uint32_t> piece_ids;  ///< of the pre-token at hand
  std::string spaced;                    ///< a pre-token with its prefix space
  std::vector<std::uint32_t> out;        ///< of the text at hand; only the first `count` are ids
  std::size_t count = 0;

  std::uint32_t* room_for(std::size_t n) {
    if (count + n > out.size()) out.resize(2 * out.size() + n + 1024);
    return out.data() + count;
  }
  void append(std::span<const std::uint32_t> ids) {
    std::copy(ids.begin(), ids.end(), room_for(ids.size()));
    count += ids.size();
  }
};

Tokenizer::Tokenizer(std::shared_ptr<const Tables> tables)
    : tables_(std::move(tables)), scratch_(std::make_unique<Scratch>()) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer Tokenizer::clone() const {
  return Tokenizer(tables_);
}

Tokenizer Tokenizer::from_json(std::string file_bytes, const std::string& name, PreTokenizer::Engine engine) {
  const Definition definition = parse_definition(file_bytes, name);
  auto tables = [&] {
    try {
      return std::make_shared<const Tables>(std::move(file_bytes), definition, engine);
    } catch (const Error& e) {
      throw Error(e.status(), fmt::format("{}: {}", name, e.what()));  // a regular expression does not know its file
    }
  }();
  if (const auto& bytes = tables->tokens.byte_ids(); std::count(bytes.begin(), bytes.end(), kNoToken) > 0)
    log::warning("{}: {} of the 256 bytes have no token: text with them will {}", name,
                 std::count(bytes.begin(), bytes.end(), kNoToken),
                 definition.unknown ? "become the unknown token there" : "lose them");
  return Tokenizer(std::move(tables));
}

Tokenizer Tokenizer::load(const std::filesystem::path& file, PreTokenizer::Engine engine) {
  return from_json(io::read_file(file), file.string(), engine);
}

/// The tokens of one pre-token, into scratch_->piece_ids, without the cache.
void Tokenizer::merge_piece(std::string_view piece) {
  auto& ids = scratch_->piece_ids;
  ids.clear();
  if (const auto whole = tables_->whole_pieces.find(piece); whole != tables_->whole_pieces.end()) {
    ids.push_back(whole->second);
    return;
  }
  bool after_unknown = false;
  for (const char byte : piece) {
    const std::uint32_t id = tables_->tokens.byte_ids()[static_cast<unsigned char>(byte)];
    if (id != kNoToken)
      ids.push_back(id);
    else if (tables_->unknown && !(after_unknown && tables_->fuse_unknown))
      ids.push_back(*tables_->unknown);
    after_unknown = id == kNoToken;
  }
  scratch_->bpe.merge(tables_->merges, ids);
}

/// The tokens of one pre-token, appended to the scratch's output.
inline void Tokenizer::encode_piece(std::string_view piece, const char* readable_end) {
  Scratch& s = *scratch_;
  ShortKey key;
  const bool is_short = piece.size() <= ShortKey::kLongest;
  if (is_short) {
    key = ShortKey::of(piece.data(), piece.size(), readable_end);
    if (const auto* hit = s.cache.find(key)) {
      std::memcpy(s.room_for(PieceCache::kInline), hit->ids, sizeof hit->ids);  // all of them: no branch on the count
      s.count += hit->count;
      return;
    }
  }
  const bool keep = piece.size() <= PieceCache::kLongest;
  if (keep)
    if (const auto* hit = s.cache.find(piece)) return s.append(*hit);
  merge_piece(piece);
  s.append(s.piece_ids);
  if (is_short && !s.piece_ids.empty() && s.piece_ids.size() <= PieceCache::kInline)
    s.cache.put(key, s.piece_ids);
  else if (keep)
    s.cache.put(piece, s.piece_ids);
}

void Tokenizer::encode_text(std::string_view text) {
  const char* const readable_end = text.data() + text.size();
  tables_->pre_tokenizer.for_each(text, scratch_->match, [&](const Piece& piece) {
    const std::string_view bytes = text.substr(piece.begin, piece.end - piece.begin);
    if (!piece.space_before) return encode_piece(bytes, readable_end);
    std::string& spaced = scratch_->spaced;
    spaced.assign(1, ' ').append(bytes);
    encode_piece(spaced, spaced.data() + spaced.size());
  });
}

std::vector<std::uint32_t> Tokenizer::encode(std::string_view text, Added added) {
  if (text.size() >= kNoToken) fail_input("a text of {} bytes is too long; split it below 4 GiB", text.size());
  Scratch& s = *scratch_;
  s.count = 0;
  s.out.resize(text.size() / 3);
  if (added == Added::plain_text) {
    encode_text(text);
  } else {
    for (const Segment& segment : tables_->added.segments(text)) {
      if (segment.id == kPlainText)
        encode_text(text.substr(segment.begin, segment.end - segment.begin));
      else
        s.append({&segment.id, 1});
    }
  }
  s.out.resize(s.count);
  return std::move(s.out);
}

std::vector<TokenSpan> Tokenizer::encode_with_offsets(std::string_view text, Added added) {
  if (text.size() >= kNoToken) fail_input("a text of {} bytes is too long; split it below 4 GiB", text.size());
  std::vector<Segment> segments{{0, text.size(), kPlainText}};
  if (added == Added::recognised) segments = tables_->added.segments(text);
  std::vector<TokenSpan> spans;
  for (const Segment& segment : segments) {
    if (segment.id != kPlainText) {
      spans.push_back({segment.id, segment.begin, segment.end});
      continue;
    }
    const std::string_view part = text.substr(segment.begin, segment.end - segment.begin);
    tables_->pre_tokenizer.for_each(part, scratch_->match, [&](const Piece& piece) {
      const std::string_view bytes = part.substr(piece.begin, piece.end - piece.begin);
      const auto lacks = [&](char b) { return tables_->tokens.byte_ids()[static_cast<unsigned char>(b)] == kNoToken; };
      const bool whole = std::any_of(bytes.begin(), bytes.end(), lacks);
      merge_piece(piece.space_before ? " " + std::string(bytes) : std::string(bytes));
      const std::size_t begin = segment.begin + piece.begin, end = segment.begin + piece.end;
      std::size_t at = begin, space = piece.space_before ? 1 : 0;
      for (const std::uint32_t id : scratch_->piece_ids) {
        const std::size_t next = at + tables_->tokens.bytes_of(id)->size() - space;
        spans.push_back(whole ? TokenSpan{id, begin, end} : TokenSpan{id, at, next});
        at = next;
        space = 0;
      }
    });
  }
  return spans;
}

std::string Tokenizer::decode(std::span<const std::uint32_t> ids, Special special) const {
  std::string out;
  for (const std::uint32_t id : ids)
    if (special == Special::shown || !is_special(id)) out += bytes_of(id).value_or("\uFFFD");
  return out;
}

std::size_t Tokenizer::vocab_size() const {
  return tables_->tokens.size();
}
std::optional<std::uint32_t> Tokenizer::id_of(std::string_view token) const {
  return tables_->tokens.id_of(token);
}
std::optional<std::string_view> Tokenizer::bytes_of(std::uint32_t id) const {
  return tables_->tokens.bytes_of(id);
}
bool Tokenizer::is_special(std::uint32_t id) const {
  return tables_->tokens.is_special(id);
}
std::uint64_t Tokenizer::hash() const {
  return tables_->hash;
}
const std::string& Tokenizer::file_bytes() const {
  return tables_->file_bytes;
}

}  // namespace eddy::tokenize
