// Additions, scaling, copies and fills on the GPU: exact, so compared bit for bit.
#include "kernels/elementwise/elementwise.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

struct Size {
  std::int64_t rows, cols, gap;
};
const std::vector<Size> kSizes = {{37, 5, 0}, {71, 64, 8},    {9, 2048, 16}, {3, 5003, 0},  {6, 40, 3},
                                  {1, 9, 7},  {300, 64, 512}, {0, 64, 8},    {4, 7168, 24}, {70001, 2, 1}};

}  // namespace

TEST_CASE("add on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [x_type, y_type] :
       {std::pair{Dtype::f32, Dtype::f32}, std::pair{Dtype::bf16, Dtype::bf16}, std::pair{Dtype::bf16, Dtype::f32}}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(x_type), eddy::name_of(y_type), rows, cols, gap);
      const Tensor x = random_tensor({rows, cols}, 1, x_type), y = random_tensor({rows, cols}, 2, y_type);
      const Padded from(*gpu, x, x_type, gap), to(*gpu, y, y_type, gap);
      kernels::add(*gpu, from, to);
      kernels::add({}, x, y);
      round_to(y, y_type);
      CHECK(same_bits(to.host(), y));
    }
  }
  for (const std::int64_t n : {1, 2, 255, 10001}) {
    CAPTURE(n);
    Tensor x({n}, Dtype::i64), y({n}, Dtype::i64);
    for (std::int64_t i = 0; i < n; ++i) {
      x.view().as<std::int64_t>()[i] = i << 33;
      y.view().as<std::int64_t>()[i] = -i;
    }
    const Tensor to = upload(*gpu, y, Dtype::i64);
    kernels::add(*gpu, upload(*gpu, x, Dtype::i64), to);
    kernels::add({}, x, y);
    CHECK(same_bits(eddy::tensor::to_host(*gpu, to), y));
  }
}

TEST_CASE("scale on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor x = random_tensor({rows, cols}, 1, dtype);
      const Padded there(*gpu, x, dtype, gap);
      kernels::scale(*gpu, there, 0.37f);
      kernels::scale({}, x, 0.37f);
      round_to(x, dtype);
      CHECK(same_bits(there.host(), x));
    }
  }
}

TEST_CASE("copy on the GPU, between types and strides") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype from_type : {Dtype::f32, Dtype::bf16}) {
    for (const Dtype to_type : {Dtype::f32, Dtype::bf16}) {
      for (const auto& [rows, cols, gap] : kSizes) {
        for (const std::int64_t to_gap : {std::int64_t{0}, gap}) {
          CAPTURE(eddy::name_of(from_type), eddy::name_of(to_type), rows, cols, gap, to_gap);
          const Tensor x = random_tensor({rows, cols}, 1, from_type);
          const Padded from(*gpu, x, from_type, gap), to = Padded::poisoned(*gpu, rows, cols, to_type, to_gap);
          kernels::copy(*gpu, from, to);
          round_to(x, to_type);
          CHECK(same_bits(to.host(), x));
        }
      }
    }
  }
  // Other types move as they are: columns [1, 1 + cols) of a wider matrix.
  for (const Dtype dtype : {Dtype::u8, Dtype::i32, Dtype::i64, Dtype::f64}) {
    for (const std::int64_t cols : {16, 33}) {
      CAPTURE(eddy::name_of(dtype), cols);
      constexpr std::int64_t kRows = 19;
      const auto size = static_cast<std::int64_t>(eddy::size_of(dtype));
      const Tensor host({kRows, cols + 3}, dtype), to({kRows, cols}, dtype, *gpu);
      auto* bytes = static_cast<unsigned char*>(host.view().data);
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(host.bytes()); ++i)
        bytes[i] = static_cast<unsigned char>(i * 7 % 251);
      const Tensor from = eddy::tensor::to_device(*gpu, host);
      kernels::copy(*gpu, from.view().col_range(1, 1 + cols), to);
      const Tensor back = eddy::tensor::to_host(*gpu, to);
      std::int64_t wrong = 0;
      for (std::int64_t r = 0; r < kRows; ++r)
        for (std::int64_t b = 0; b < cols * size; ++b)
          wrong += static_cast<unsigned char*>(back.view().data)[r * cols * size + b] !=
                   bytes[(r * (cols + 3) + 1) * size + b];
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("fill on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor expected({rows, cols});
      kernels::fill({}, expected, -1.5f);
      const Padded there = Padded::poisoned(*gpu, rows, cols, dtype, gap);
      kernels::fill(*gpu, there, -1.5f);
      CHECK(same_bits(there.host(), expected));
    }
  }
  const Tensor counts({1001}, Dtype::i32, *gpu), expected({1001}, Dtype::i32);
  kernels::fill(*gpu, counts, -1);
  kernels::fill({}, expected, -1);
  CHECK(same_bits(eddy::tensor::to_host(*gpu, counts), expected));
}
