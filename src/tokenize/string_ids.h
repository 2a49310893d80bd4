#pragma once
// string → token id, looked up by string_view without a copy.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"

namespace eddy::tokenize {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const { return xxh3(s); }
};
using IdMap = std::unordered_map<std::string, std::uint32_t, StringHash, std::equal_to<>>;

}  // namespace eddy::tokenize
