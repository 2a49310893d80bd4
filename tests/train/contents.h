#pragma once
// What a checkpoint holds, to compare two.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace eddy_test {

/// Every tensor of a checkpoint.
inline std::map<std::string, std::vector<float>> contents(const std::filesystem::path& path) {
  const eddy::checkpoint::Checkpoint checkpoint(path);
  std::map<std::string, std::vector<float>> out;
  for (const auto& t : checkpoint.tensors()) {
    std::int64_t n = 1;
    for (const auto d : t.shape) n *= d;
    auto& values = out[t.name];
    values.resize(static_cast<std::size_t>(n));
    checkpoint.read({t.name,
                     t.shape,
                     std::vector<std::int64_t>(t.shape.size(), 0),
                     {values.data(), t.dtype, eddy::tensor::Shape(t.shape)}});
  }
  return out;
}

}  // namespace eddy_test
