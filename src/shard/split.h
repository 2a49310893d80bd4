#pragma once
// The three splits of a dataset. A document's split follows from its content alone, so none is in two of them.
#include <array>
#include <cstddef>
#include <string_view>

namespace eddy::shard {

enum class Split { train = 0, validation = 1, test = 2 };
inline constexpr std::array<std::string_view, 3> kSplitNames{"train", "validation", "test"};
inline std::string_view split_name(Split s) {
  return kSplitNames[static_cast<std::size_t>(s)];
}

}  // namespace eddy::shard
