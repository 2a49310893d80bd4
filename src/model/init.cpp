#include "model/init.h"

#include <algorithm>

#include "base/hash.h"
#include "base/rng.h"

namespace eddy::model {

void initialise(const hf::ModelConfig& config, const parallel::Parameter& p, std::uint64_t seed) {
  const auto& info = p.info;
  float* value = p.value.f32();
  const std::int64_t n = info.numel();
  if (info.global_shape.size() == 1) {
    const float v = info.trainable ? 1.f : 0.f;  // norms; the router's bias
    std::fill_n(value, n, v);
    return;
  }
  const std::uint64_t key = mix(seed, xxh3(info.name));
  const std::int64_t cols = info.extent.back(), global_cols = info.global_shape.back(),
                     rows = n / std::max<std::int64_t>(cols, 1);
  const std::int64_t middle = info.extent.size() == 3 ? info.extent[1] : 1,
                     global_middle = info.extent.size() == 3 ? info.global_shape[1] : 1;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t i = r / middle + info.begin[0], j = info.extent.size() == 3 ? r % middle + info.begin[1] : 0;
    const std::int64_t start =
        (i * global_middle + j) * global_cols + info.begin.back();  // global index of the row's first element
    for (std::int64_t c = 0; c < cols; ++c) {
      const auto at = static_cast<std::uint64_t>(start + c);
      value[r * cols + c] = static_cast<float>(config.initializer_range * normal2(philox(key, at / 2))[at % 2]);
    }
  }
}

void initialise(const hf::ModelConfig& config, const parallel::ParameterStore& store, std::uint64_t seed) {
  for (const auto& p : store.all()) initialise(config, p, seed);
}

}  // namespace eddy::model
