#include "kernels/rope/rope.h"

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/common/scratch.h"
#include "kernels/rope/rope_cuda.h"

namespace eddy::kernels {

void rope(const Stream& stream, View x, int heads, int head_dim, int offset, View positions, const RopeTable& table,
          bool inverse) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::rope(stream, x, heads, head_dim, offset, positions, table, inverse);
  const auto pairs = static_cast<std::int64_t>(table.inverse_frequency.size());
  if (heads < 1 || offset < 0 || offset + 2 * pairs > head_dim)
    fail_run("rope: {} pairs from column {} do not fit {} heads of {}", pairs, offset, heads, head_dim);
  const Rows m = rows_of(x, -1, std::int64_t{heads} * head_dim, {"rope", "x"});
  const std::int32_t* position = ints_of(positions, m.rows, {"rope", "positions"});
  const double* frequency = table.inverse_frequency.data();
  const double magnitude = table.magnitude, direction = inverse ? -1 : 1;
#pragma omp parallel if (worth_threads(m.rows * pairs * (heads + 8)))
  {
    float* cosine = scratch<float>(2 * pairs);
    float* sine = cosine + pairs;
#pragma omp for schedule(static)
    for (std::int64_t t = 0; t < m.rows; ++t) {
      const double p = position[t];
#pragma omp simd
      for (std::int64_t i = 0; i < pairs; ++i) {
        const CosSin a = cos_sin(p * frequency[i]);
        cosine[i] = static_cast<float>(a.cos * magnitude);
        sine[i] = static_cast<float>(a.sin * magnitude * direction);
      }
      for (int h = 0; h < heads; ++h) {
        float* v = m[t] + std::int64_t{h} * head_dim + offset;
#pragma omp simd
        for (std::int64_t i = 0; i < pairs; ++i) {
          const float a = v[2 * i], b = v[2 * i + 1];
          v[2 * i] = a * cosine[i] - b * sine[i];
          v[2 * i + 1] = a * sine[i] + b * cosine[i];
        }
      }
    }
  }
}

}  // namespace eddy::kernels
