// AdamW on the GPU against its CPU twin.
#include "kernels/adamw/adamw.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

constexpr std::int64_t kRoom = 16;  // elements before and behind the slices: must stay

/// The elements outside [begin, begin + n) are the same bits in both.
bool same_around(View a, View b, std::int64_t begin, std::int64_t n) {
  for (std::int64_t i = 0; i < a.numel(); ++i)
    if ((i < begin || i >= begin + n) && a.f32()[i] != b.f32()[i]) return false;
  return true;
}
View slice(const Tensor& t, std::int64_t begin, std::int64_t n) {
  const View v = t.view();
  return View(static_cast<char*>(v.data) + begin * static_cast<std::int64_t>(eddy::size_of(v.dtype)), v.dtype, {n});
}

}  // namespace

TEST_CASE("adamw on the GPU: float32 and bf16 moments, slices that begin anywhere") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const kernels::AdamwStep step{1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.7f, 1 - 0.9f * 0.9f, 1 - 0.95f * 0.95f};
  struct Start {
    std::int64_t param, state;  // param, grad and value begin at the first, the moments at the second
  };
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const std::int64_t n : {0, 1, 3, 7, 1024, 4099, 100003}) {
      for (const auto& [start, state] :
           {Start{0, 0}, Start{1, 1}, Start{3, 3}, Start{4, 8}, Start{0, 1}, Start{5, 2}}) {
        for (const bool with_value : {false, true}) {
          CAPTURE(eddy::name_of(dtype), n, start, state, with_value);
          const std::int64_t all = n + kRoom;
          const Tensor param = random_tensor({all}, 1), grad = random_tensor({all}, 2);
          const Tensor m = random_tensor({all}, 3, dtype, 0.1f), v = random_tensor({all}, 4, dtype, 0.1f);
          for (std::int64_t i = 0; i < all; ++i) v.f32()[i] = std::abs(v.f32()[i]);
          const Tensor p1 = upload(*gpu, param), g1 = upload(*gpu, grad), m1 = upload(*gpu, m, dtype),
                       v1 = upload(*gpu, v, dtype), value1 = upload(*gpu, param, Dtype::bf16);
          kernels::adamw(*gpu, slice(p1, start, n), slice(g1, start, n), slice(m1, state, n), slice(v1, state, n), step,
                         with_value ? slice(value1, start, n) : View());
          const Tensor p0 = copy_of(param), m0 = copy_of(m), v0 = copy_of(v);
          kernels::adamw({}, slice(p0, start, n), slice(grad, start, n), slice(m0, state, n), slice(v0, state, n),
                         step);

          const Tensor p = download(*gpu, p1);
          CHECK(relative_error(p, p0) < tolerance(Dtype::f32));
          CHECK(relative_error(download(*gpu, m1), m0) < tolerance(dtype));
          CHECK(relative_error(download(*gpu, v1), v0) < tolerance(dtype));
          CHECK(same_around(p, param, start, n));
          CHECK(same_around(download(*gpu, m1), m, state, n));
          CHECK(same_around(download(*gpu, v1), v, state, n));
          CHECK(same_bits(download(*gpu, g1), grad));
          const Tensor expected = with_value ? copy_of(p) : copy_of(param);  // the copy is the new value, rounded
          for (std::int64_t i = 0; i < all; ++i)
            if (i < start || i >= start + n) expected.f32()[i] = param.f32()[i];
          round_to(expected, Dtype::bf16);
          CHECK(same_bits(download(*gpu, value1), expected));
        }
      }
    }
  }
}
