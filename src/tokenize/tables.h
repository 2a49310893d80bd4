#pragma once
// What a Tokenizer knows and never changes: built once from a Definition, shared by all its clones.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenize/bpe.h"
#include "tokenize/definition.h"
#include "tokenize/string_ids.h"

namespace eddy::tokenize {

/// The bytes and flags of every token, by id.
class TokenTable {
 public:
  explicit TokenTable(const Definition& definition);
  std::size_t size() const { return kinds_.size(); }
  std::optional<std::string_view> bytes_of(std::uint32_t id) const {
    if (id >= size() || kinds_[id] == kHole) return std::nullopt;
    return std::string_view(bytes_).substr(begins_[id], begins_[id + 1] - begins_[id]);
  }
  bool is_special(std::uint32_t id) const { return id < size() && kinds_[id] == kSpecial; }
  std::optional<std::uint32_t> id_of(std::string_view spelling) const;
  /// The token of each single byte; kNoToken where the vocabulary has none.
  const std::array<std::uint32_t, 256>& byte_ids() const { return byte_ids_; }

 private:
  enum Kind : std::uint8_t { kHole, kPlain, kSpecial };
  std::vector<Kind> kinds_;
  std::vector<std::size_t> begins_;
  std::string bytes_;
  IdMap ids_;
  std::array<std::uint32_t, 256> byte_ids_{};
};

}  // namespace eddy::tokenize
