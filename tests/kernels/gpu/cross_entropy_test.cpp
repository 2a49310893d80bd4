// The vocabulary-parallel cross-entropy on the GPU against the CPU.
#include "kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "base/error.h"
#include "gpu_test.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT

namespace {

constexpr Dtype f = Dtype::f32, h = Dtype::bf16;
constexpr int kBegin = 100;  // of the vocabulary's part

View inner(const Tensor& t, std::int64_t gap) {
  return t.view().col_range(gap, t.shape()[1] - gap);
}
Tensor filled(const Shape& shape, float value) {
  Tensor t(shape);
  std::fill_n(t.f32(), t.view().numel(), value);
  return t;
}
std::string first_difference(View actual, View expected) {
  for (std::int64_t i = 0; i < expected.numel(); ++i)
    if (!(actual.f32()[i] == expected.f32()[i]))
      return "[" + std::to_string(i) + "] is " + std::to_string(actual.f32()[i]) + ", not " +
             std::to_string(expected.f32()[i]);
  return "";
}
/// -1, labels of other parts, the first and the last of this one, any.
Tensor make_labels(std::int64_t n, int cols) {
  Tensor labels({n}, Dtype::i32);
  std::mt19937 engine(3);
  for (std::int64_t t = 0; t < n; ++t) {
    const int any = kBegin + static_cast<int>(engine() % static_cast<unsigned>(cols));
    const int some[] = {-1, 5, kBegin - 1, kBegin, kBegin + cols - 1, kBegin + cols, any, any};
    labels.i32()[t] = some[t % 8];
  }
  return labels;
}

}  // namespace

TEST_CASE("GPU cross_entropy: statistics, gradient") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [rows, cols, gap] : {std::tuple{1, 1, 0},
                                        {37, 5, 0},
                                        {37, 33, 1},
                                        {20, 1000, 8},
                                        {19, 4099, 3},
                                        {16, 16160, 0},
                                        {3, 40008, 8},
                                        {7, 129280, 0}})
    for (const auto dtype : {f, h}) {
      INFO(rows << " rows of " << cols << ", gap " << gap << ", " << name_of(dtype));
      const Tensor logits = random_tensor({rows, cols + 2 * gap}, 1, dtype, 3), labels = make_labels(rows, cols);
      const Tensor there = upload(*gpu, logits, dtype), labels_there = upload(*gpu, labels);
      const Tensor own = filled({3, rows}, NAN), own_there = upload(*gpu, own);
      cross_entropy_statistics({}, inner(logits, gap), labels, kBegin, own);
      cross_entropy_statistics(*gpu, inner(there, gap), labels_there, kBegin, own_there);
      const Tensor got = download(*gpu, own_there);
      const auto line = [rows = rows](const Tensor& t, int i) { return t.view().row_range(i, i + 1).reshape({rows}); };
      CHECK(first_difference(line(got, 0), line(own, 0)) == "");
      CHECK(first_difference(line(got, 2), line(own, 2)) == "");
      // Against double: one float32 sum of 129,280 terms in the CPU's order is itself off by more than the GPU's.
      Tensor exact({rows});
      for (std::int64_t t = 0; t < rows; ++t) {
        double sum = 0;
        for (std::int64_t i = 0; i < cols; ++i)
          sum += std::exp(double{logits.f32()[t * (cols + 2 * gap) + gap + i]} - double{own.f32()[t]});
        exact.f32()[t] = static_cast<float>(sum);
      }
      CHECK(relative_error(line(got, 1), exact) < tolerance(f));
      CHECK(relative_error(line(own, 1), exact) < 1e-3);

      // Beside another part of the vocabulary, whose maximum is greater.
      Tensor parts({2, 3, rows}), whole({3, rows});
      std::copy_n(own.f32(), 3 * rows, parts.f32());
      for (std::int64_t t = 0; t < rows; ++t) {
        float* other = parts.f32() + 3 * rows + t;
        other[0] = own.f32()[t] + 0.5f, other[rows] = 2, other[2 * rows] = 0;
      }
      const Tensor parts_there = upload(*gpu, parts), whole_there = upload(*gpu, filled({3, rows}, NAN));
      cross_entropy_join({}, parts, whole);
      cross_entropy_join(*gpu, parts_there, whole_there);
      CHECK(relative_error(download(*gpu, whole_there), whole) < tolerance(f));

      const float scale = 0.37f;
      cross_entropy_backward({}, inner(logits, gap), labels, kBegin, whole, scale);
      cross_entropy_backward(*gpu, inner(there, gap), labels_there, kBegin, upload(*gpu, whole), scale);
      const Tensor gradient = download(*gpu, there);
      CHECK(relative_error(gradient, logits) < tolerance(dtype));
      for (std::int64_t t = 0; t < rows; ++t) {  // each row's own scale: the label's entry would hide the others
        double size = 0, expected = 0, difference = 0;
        for (std::int64_t i = gap; i < gap + cols; ++i) {
          const std::int64_t at = t * (cols + 2 * gap) + i;
          if (i - gap + kBegin == labels.i32()[t]) continue;
          size += std::abs(double{gradient.f32()[at]});
          expected += std::abs(double{logits.f32()[at]});
          difference += std::abs(double{gradient.f32()[at]} - double{logits.f32()[at]});
        }
        INFO("row " << t << ", label " << labels.i32()[t]);
        if (labels.i32()[t] < 0) CHECK(size == 0);
        CHECK(difference <= tolerance(dtype) * expected);
      }
    }
}

TEST_CASE("GPU cross_entropy_loss: a sum over the counted tokens, the same bits each time") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const std::int64_t tokens : {0, 1, 5, 1023, 1024, 4097}) {
    const Tensor labels = make_labels(tokens, 50), statistics = random_tensor({3, tokens}, 4);
    Tensor loss({1}, Dtype::f64);
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* sum = statistics.f32() + tokens + t;
      *sum = 1 + std::abs(*sum) * 1e4f;
    }
    *loss.view().as<double>() = 2.5;
    const Tensor there = upload(*gpu, loss), again = upload(*gpu, loss);
    const Tensor labels_there = upload(*gpu, labels), statistics_there = upload(*gpu, statistics);
    cross_entropy_loss({}, labels, statistics, loss);
    for (const Tensor* out : {&there, &again}) cross_entropy_loss(*gpu, labels_there, statistics_there, *out);
    const Tensor actual = eddy::tensor::to_host(*gpu, there), repeated = eddy::tensor::to_host(*gpu, again);
    INFO(tokens << " tokens");
    CHECK(*actual.view().as<double>() == approx(*loss.view().as<double>()).epsilon(1e-12));
    CHECK(*actual.view().as<double>() == *repeated.view().as<double>());
  }
}

TEST_CASE("GPU cross_entropy: NaN shows in the sums, minus infinity counts for nothing; no rows; wrong views") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  Tensor logits = random_tensor({3, 40}, 6);
  logits.f32()[45] = NAN;
  std::fill_n(logits.f32() + 80, 40, -INFINITY);
  const Tensor there = upload(*gpu, logits), labels = upload(*gpu, make_labels(3, 40)), statistics({3, 3}, f, *gpu);
  cross_entropy_statistics(*gpu, there, labels, kBegin, statistics);
  const Tensor got = download(*gpu, statistics);
  CHECK(std::isfinite(got.f32()[3]));
  CHECK(std::isnan(got.f32()[4]));
  CHECK(got.f32()[2] == -INFINITY);
  CHECK(got.f32()[5] == 0);
  const Tensor none({0, 40}, h, *gpu), no_labels({0}, Dtype::i32, *gpu), empty({3, 0}, f, *gpu);
  cross_entropy_statistics(*gpu, none, no_labels, kBegin, empty);
  cross_entropy_backward(*gpu, none, no_labels, kBegin, empty, 1);
  CHECK_THROWS_AS(cross_entropy_statistics(*gpu, there, labels, kBegin, empty), eddy::Error);
  CHECK_THROWS_AS(cross_entropy_backward(*gpu, there, no_labels, kBegin, statistics, 1), eddy::Error);
}
