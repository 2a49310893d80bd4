#include "tokenize/tables.h"

#include <algorithm>

#include "tokenize/byte_level.h"
#include "tokenize/unicode.h"

namespace eddy::tokenize {

TokenTable::TokenTable(const Definition& definition) {
  std::size_t count = definition.vocabulary.size();
  for (const AddedToken& token : definition.added) count = std::max<std::size_t>(count, token.id + std::size_t{1});
  kinds_.resize(count, kHole);
  begins_.reserve(count + 1);
  ids_.reserve(count);
  std::vector<const AddedToken*> added(count, nullptr);
  for (const AddedToken& token : definition.added) added[token.id] = &token;
  for (std::uint32_t id = 0; id < count; ++id) {
    begins_.push_back(bytes_.size());
    if (added[id]) {
      kinds_[id] = added[id]->special ? kSpecial : kPlain;
      bytes_ += added[id]->content;  // as it stands: it was cut out of the text, not spelled
      ids_.emplace(added[id]->content, id);
    } else if (id < definition.vocabulary.size() && definition.vocabulary[id]) {
      const std::string& spelling = *definition.vocabulary[id];
      kinds_[id] = kPlain;
      bytes_ += unspell(spelling).value_or(spelling);
      ids_.emplace(spelling, id);
    }
  }
  begins_.push_back(bytes_.size());
  for (std::size_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = id_of(spell(std::string_view(&byte, 1))).value_or(kNoToken);
  }
}

std::optional<std::uint32_t> TokenTable::id_of(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace eddy::tokenize
