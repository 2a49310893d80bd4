#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/rms_norm/rms_norm_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kAnyThreads = 256;  // of the kernels for rows that packs do not fit

template <class T>
struct Matrix {
  T* data;
  std::int64_t stride;
  __device__ T* row(std::int64_t r) const { return data + r * stride; }
};
template <class T>
Matrix<T> matrix(const View& view) {
  return {static_cast<T*>(view.data), view.row_stride};
}

/// Sum over the blockDim.x threads (whole warps) that share a row, on each of them, in a fixed order. `slots` has a
/// float for each warp of the block. All threads of the block call it; it has one barrier, so slots that are written
/// again without another barrier after the reads must be others.
__device__ float row_sum(float v, float* slots) {
  v = warp_sum(v);
  if (blockDim.x == 32) return v;
  const int warps = static_cast<int>(blockDim.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  float* row = slots + threadIdx.y * warps;
  if (lane == 0) row[threadIdx.x / 32] = v;
  __syncthreads();
  return warp_sum(lane < warps ? row[lane] : 0.f);
}

/// y = x · inv_rms · weight, of x + sum where kAdd. blockDim.x threads have a row, K packs of N elements each, which
/// stay in registers between the two uses; threadIdx.y is the row within the block.
template <int K, int N, bool kAdd, class T>
__global__ void __launch_bounds__(1024)
    norm_rows(Matrix<const T> x, Matrix<T> sum, const T* weight, float eps, Matrix<T> y, float* inv_rms,
              std::int64_t rows, int cols, float per_col) {
  __shared__ float slots[32];
  const std::int64_t r = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const int packs = r < rows ? cols / N : 0;  // a thread beyond the last row only takes part in the barrier
  const int width = static_cast<int>(blockDim.x), first = static_cast<int>(threadIdx.x);
  Pack<T, N> v[K], before[K];
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = first + k * width;
    if (i >= packs) continue;
    v[k] = load_pack<N>(x.row(r) + i * N);
    if constexpr (kAdd) before[k] = load_pack<N>(sum.row(r) + i * N);
  }
  float squares = 0;
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = first + k * width;
    if (i >= packs) continue;
    if constexpr (kAdd) {
      float total[N];
#pragma unroll
      for (int j = 0; j < N; ++j) total[j] = to_float(before[k].v[j]) + to_float(v[k].v[j]);
      v[k] = pack_of<T>(total);
      store_pack(sum.row(r) + i * N, v[k]);
    }
#pragma unroll
    for (int j = 0; j < N; ++j) squares += to_float(v[k].v[j]) * to_float(v[k].v[j]);
  }
  Pack<T, N> w[K];  // on their way during the sum
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = first + k * width;
    if (i < packs) w[k] = load_pack<N>(weight + i * N);
  }
  const float inverse = rsqrtf(row_sum(squares, slots) * per_col + eps);
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = first + k * width;
    if (i >= packs) continue;
    float out[N];
#pragma unroll
    for (int j = 0; j < N; ++j) out[j] = to_float(v[k].v[j]) * inverse * to_float(w[k].v[j]);
    store_pack(y.row(r) + i * N, pack_of<T>(out));
  }
  if (inv_rms && first == 0 && r < rows) inv_rms[r] = inverse;
}

/// The same for any width and alignment: one row a block, read twice.
template <bool kAdd, class T>
__global__ void __launch_bounds__(kAnyThreads)
    norm_rows_any(Matrix<const T> x, Matrix<T> sum, const T* weight, float eps, Matrix<T> y, float* inv_rms,
                  std::int64_t cols) {
  __shared__ float slots[33];
  const std::int64_t r = blockIdx.x;
  const T* in = x.row(r);
  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < cols; i += kAnyThreads) {
    float a = to_float(in[i]);
    if constexpr (kAdd) {
      const T total = from_float<T>(a + to_float(sum.row(r)[i]));
      sum.row(r)[i] = total;
      a = to_float(total);
    }
    squares += a * a;
  }
  const float inverse = rsqrtf(block_sum(squares, slots) / static_cast<float>(cols) + eps);
  if constexpr (kAdd) in = sum.row(r);  // each thread reads what it wrote itself
  for (std::int64_t i = threadIdx.x; i < cols; i += kAnyThreads)
    y.row(r)[i] = from_float<T>(to_float(in[i]) * inverse * to_float(weight[i]));
  if (inv_rms && threadIdx.x == 0) inv_rms[r] = inverse;
}

bool aligned(const View& vector) {
  return reinterpret_cast<std::uintptr_t>(vector.data) % 16 == 0;
}

/// Threads for a row of `packs` packs, K each: whole warps.
template <int K>
unsigned row_threads(std::int64_t packs) {
  return static_cast<unsigned>(ceil_div(packs, 32 * K) * 32);
}

template <bool kAdd, class T>
void forward(const Stream& stream, const View& x, const View& sum, const View& weight, float eps, const View& y,
             const View& inv_rms) {
  constexpr int N = 16 / static_cast<int>(sizeof(T));
  const std::int64_t rows = x.rows(), cols = x.cols(), row_packs = cols / N;
  const auto in = matrix<const T>(x);
  const auto total = matrix<T>(sum), out = matrix<T>(y);
  const auto* w = static_cast<const T*>(weight.data);
  auto* inverse = static_cast<float*>(inv_rms.data);
  const bool wide =
      packs<T, N>(x) && packs<T, N>(y) && (!kAdd || packs<T, N>(sum)) && aligned(weight) && row_packs <= 4 * 1024;
  const auto go = [&](auto held) {
    constexpr int K = decltype(held)::value;
    const unsigned width = row_threads<K>(row_packs);
    const dim3 block(width, std::max(1u, 256 / width));
    const auto grid = static_cast<unsigned>(ceil_div(rows, block.y));
    norm_rows<K, N, kAdd, T><<<grid, block, 0, device::native(stream)>>>(
        in, total, w, eps, out, inverse, rows, static_cast<int>(cols), 1.0f / static_cast<float>(cols));
  };
  if (!wide)
    norm_rows_any<kAdd, T><<<static_cast<unsigned>(rows), kAnyThreads, 0, device::native(stream)>>>(in, total, w, eps,
                                                                                                    out, inverse, cols);
  else if (row_packs > (kAdd ? 2 * 1024 : 256))  // with two operands two packs of each are enough on their way
    go(std::integral_constant<int, 4>{});
  else
    go(std::integral_constant<int, 2>{});
  check_launch();
}

// ---- backward ----

/// 16 bytes from global to shared memory, on their way until wait_for. The waiting thread sees its own copies.
__device__ inline void copy_ahead(uint4* shared, const void* global) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global)
      : "memory");
}
__device__ inline void close_group() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Until at most kLater of this thread's latest groups are on their way.
template <int kLater>
__device__ inline void wait_for() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
}

/// Hopper only (elsewhere kernels start one after the other anyway): the kernel behind this one may come onto the GPU,
/// where its blocks wait for this one's results.
__device__ inline void let_next_come() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
/// Until the kernel before is done and what it wrote is seen.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// A thread has 16 columns: so many that the sums for dweight stay in registers.
constexpr int kThreadCols = 16;

/// dx, and each block's share of dweight in partial [gridDim.x, cols] (may be null): one pass. A block has blockDim.y
/// rows at once and goes on gridDim.x · blockDim.y further. Every thread copies what it will itself read kStages - 1
/// rows ahead into shared memory, so that memory works while the block waits at its barrier.
template <int kStages, class T>
__global__ void __launch_bounds__(1024)
    backward_rows(Matrix<const T> dy, Matrix<const T> x, const T* weight, const float* inv_rms,
                  Matrix<const T> residual, Matrix<T> dx, float* partial, std::int64_t rows, int cols) {
  constexpr int N = 16 / static_cast<int>(sizeof(T)), K = kThreadCols / N;
  extern __shared__ uint4 staged[];  // [kStages, dy x residual, K, threads]
  let_next_come();                   // each multiprocessor has its block of this kernel by now, and room beside it
  __shared__ float slots[2][32];     // in turns: one barrier a row is enough
  const int width = static_cast<int>(blockDim.x), threads = width * static_cast<int>(blockDim.y);
  const int thread = static_cast<int>(threadIdx.y) * width + static_cast<int>(threadIdx.x);
  const int column = static_cast<int>(threadIdx.x), packs = cols / N, matrices = residual.data ? 3 : 2;
  const std::int64_t base = std::int64_t{blockIdx.x} * blockDim.y, step = std::int64_t{gridDim.x} * blockDim.y;
  const auto slot = [&](int stage, int which, int k) {
    return staged + ((stage * matrices + which) * K + k) * threads + thread;
  };
  const auto fetch = [&](std::int64_t round) {
    const std::int64_t r = base + round * step + threadIdx.y;
    const int stage = static_cast<int>(round % kStages);
    if (r < rows) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const int i = column + k * width;
        if (i >= packs) continue;
        copy_ahead(slot(stage, 0, k), dy.row(r) + i * N);
        copy_ahead(slot(stage, 1, k), x.row(r) + i * N);
        if (residual.data) copy_ahead(slot(stage, 2, k), residual.row(r) + i * N);
      }
    }
    close_group();  // an empty one beyond the last row: wait_for counts groups
  };
  const auto pack_at = [&](int stage, int which, int k) {
    return __builtin_bit_cast(Pack<T, N>, *slot(stage, which, k));
  };

  Pack<T, N> w[K];
  float shares[K][N];
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int i = column + k * width;
    if (i < packs) w[k] = load_pack<N>(weight + i * N);
#pragma unroll
    for (int j = 0; j < N; ++j) shares[k][j] = 0;
  }
  const float per_col = 1.0f / static_cast<float>(cols);
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) fetch(s);
  std::int64_t round = 0;
  for (; base + round * step < rows; ++round) {  // the same count for the whole block
    fetch(round + kStages - 1);
    const std::int64_t r = base + round * step + threadIdx.y;
    const int mine = r < rows ? packs : 0, stage = static_cast<int>(round % kStages);
    const float inverse = r < rows ? inv_rms[r] : 0.f;
    wait_for<kStages - 1>();
    float dot = 0;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      if (column + k * width >= mine) continue;
      const Pack<T, N> d = pack_at(stage, 0, k), a = pack_at(stage, 1, k);
#pragma unroll
      for (int j = 0; j < N; ++j) dot += to_float(d.v[j]) * to_float(w[k].v[j]) * to_float(a.v[j]);
    }
    const float c = row_sum(dot, slots[round % 2]) * inverse * inverse * per_col;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int i = column + k * width;
      if (i >= mine) continue;
      const Pack<T, N> d = pack_at(stage, 0, k), a = pack_at(stage, 1, k);
      float out[N];
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float back = to_float(d.v[j]), in = to_float(a.v[j]);
        shares[k][j] += back * (in * inverse);
        out[j] = inverse * (back * to_float(w[k].v[j]) - in * c);
      }
      if (residual.data) {
        const Pack<T, N> b = pack_at(stage, 2, k);
#pragma unroll
        for (int j = 0; j < N; ++j) out[j] += to_float(b.v[j]);
      }
      store_pack(dx.row(r) + i * N, pack_of<T>(out));
    }
  }
  if (!partial) return;
  partial += std::int64_t{blockIdx.x} * cols;
  if (blockDim.y == 1) {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int i = column + k * width;
      if (i >= packs) continue;
#pragma unroll
      for (int j = 0; j < N; j += 4)
        store_pack(partial + i * N + j,
                   Pack<float, 4>{{shares[k][j], shares[k][j + 1], shares[k][j + 2], shares[k][j + 3]}});
    }
    return;
  }
  // The block's rows side by side, summed in their order. The stages (64 bytes a thread at least) hold them.
  wait_for<0>();
  __syncthreads();
  auto* sums = reinterpret_cast<float*>(staged);  // [kThreadCols, threads]
#pragma unroll
  for (int k = 0; k < K; ++k) {
#pragma unroll
    for (int j = 0; j < N; ++j) sums[(k * N + j) * threads + thread] = shares[k][j];
  }
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.y); e < kThreadCols; e += static_cast<int>(blockDim.y)) {
    const int i = column + e / N * width;
    if (i >= packs) continue;
    float s = 0;
    for (int other = 0; other < static_cast<int>(blockDim.y); ++other) s += sums[e * threads + other * width + column];
    partial[i * N + e % N] = s;
  }
}

/// dx for any width and alignment: one row a block.
template <class T>
__global__ void __launch_bounds__(kAnyThreads)
    backward_rows_any(Matrix<const T> dy, Matrix<const T> x, const T* weight, const float* inv_rms,
                      Matrix<const T> residual, Matrix<T> dx, std::int64_t cols) {
  __shared__ float slots[33];
  const std::int64_t r = blockIdx.x;
  const T *d = dy.row(r), *a = x.row(r);
  float dot = 0;
  for (std::int64_t i = threadIdx.x; i < cols; i += kAnyThreads)
    dot += to_float(d[i]) * to_float(weight[i]) * to_float(a[i]);
  const float inverse = inv_rms[r];
  const float c = block_sum(dot, slots) * inverse * inverse / static_cast<float>(cols);
  for (std::int64_t i = threadIdx.x; i < cols; i += kAnyThreads) {
    float out = inverse * (to_float(d[i]) * to_float(weight[i]) - to_float(a[i]) * c);
    if (residual.data) out += to_float(residual.row(r)[i]);
    dx.row(r)[i] = from_float<T>(out);
  }
}
/// partial [gridDim.y, cols]: the shares in dweight of `share` rows each.
template <class T>
__global__ void __launch_bounds__(kAnyThreads)
    weight_shares_any(Matrix<const T> dy, Matrix<const T> x, const float* inv_rms, float* partial, std::int64_t rows,
                      std::int64_t cols, std::int64_t share) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kAnyThreads + threadIdx.x, begin = blockIdx.y * share;
  if (i >= cols) return;
  float s = 0;
  for (std::int64_t r = begin; r < min(rows, begin + share); ++r)
    s += to_float(dy.row(r)[i]) * (to_float(x.row(r)[i]) * inv_rms[r]);
  partial[blockIdx.y * cols + i] = s;
}

constexpr int kSumCols = 32, kSumRows = 16;
/// dweight += the sum of `count` rows of partial, in a fixed order.
__global__ void __launch_bounds__(kSumCols* kSumRows)
    add_partials(const float* partial, std::int64_t count, std::int64_t cols, float* dweight) {
  __shared__ float sums[kSumRows][kSumCols];
  const std::int64_t i = std::int64_t{blockIdx.x} * kSumCols + threadIdx.x;
  wait_for_previous();
  float s = 0;
  if (i < cols) {
#pragma unroll 4
    for (std::int64_t g = threadIdx.y; g < count; g += kSumRows) s += partial[g * cols + i];
  }
  sums[threadIdx.y][threadIdx.x] = s;
  __syncthreads();
  if (threadIdx.y != 0 || i >= cols) return;
  float total = 0;
#pragma unroll
  for (int k = 0; k < kSumRows; ++k) total += sums[k][threadIdx.x];
  dweight[i] += total;
}

/// What the GPU has, asked once.
struct Limits {
  int multiprocessors = 0, shared_bytes = 0;
  bool overlaps = false;  ///< add_partials was compiled to wait for the kernel before it by itself
  explicit Limits(const Stream&) {
    cudaFuncAttributes sums{};
    device::check(cudaFuncGetAttributes(&sums, add_partials));
    overlaps = sums.ptxVersion >= 90;  // of Ampere's PTX on a Hopper: 80
    int gpu = 0;
    device::check(cudaGetDevice(&gpu));
    device::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, gpu));
    device::check(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, gpu));
  }
};

template <class T>
struct Backward {
  Matrix<const T> dy, x;
  const T* weight;
  const float* inv_rms;
  Matrix<const T> residual;
  Matrix<T> dx;
  float* dweight;
  std::int64_t rows, cols;

  void sum_shares(const Stream& stream, const float* partial, std::int64_t count) const {
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t launch{};
    launch.gridDim = dim3(static_cast<unsigned>(ceil_div(cols, kSumCols)));
    launch.blockDim = dim3(kSumCols, kSumRows);
    launch.stream = device::native(stream);
    launch.attrs = &early;
    launch.numAttrs = stream.state<Limits>().overlaps ? 1 : 0;
    device::check(cudaLaunchKernelEx(&launch, add_partials, partial, count, cols, dweight));
  }

  void run_wide(const Stream& stream) const {
    constexpr int N = 16 / static_cast<int>(sizeof(T)), K = kThreadCols / N;
    const auto& limits = stream.state<Limits>();
    const unsigned width = row_threads<K>(cols / N);
    // One block a multiprocessor: fewer shares to sum. Of up to 768 threads, as many as make its last round a full one.
    const std::int64_t most = std::max(1u, 768 / width), at_once = most * limits.multiprocessors;
    const std::int64_t together = ceil_div(rows, ceil_div(rows, at_once) * limits.multiprocessors);
    const dim3 block(width, static_cast<unsigned>(together));
    const std::int64_t grid = std::min<std::int64_t>(limits.multiprocessors, ceil_div(rows, together));
    const Scratch partial(stream, dweight ? static_cast<std::size_t>(grid * cols) * sizeof(float) : 0);
    const int stage = static_cast<int>(block.x * block.y) * K * (residual.data ? 3 : 2) * 16;
    const int room = limits.shared_bytes - 1024;  // the slots, and what the system keeps
    const auto go = [&](auto stages) {
      constexpr int kStages = decltype(stages)::value;
      const auto kernel = backward_rows<kStages, T>;
      device::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kStages * stage));
      kernel<<<static_cast<unsigned>(grid), block, static_cast<std::size_t>(kStages * stage), device::native(stream)>>>(
          dy, x, weight, inv_rms, residual, dx, partial.as<float>(), rows, static_cast<int>(cols));
    };
    if (3 * stage <= room)
      go(std::integral_constant<int, 3>{});
    else if (2 * stage <= room)
      go(std::integral_constant<int, 2>{});
    else
      go(std::integral_constant<int, 1>{});
    check_launch();
    if (dweight) sum_shares(stream, partial.as<float>(), grid);
  }

  void run_any(const Stream& stream) const {
    const std::int64_t share = std::max<std::int64_t>(32, ceil_div(rows, 256)), count = ceil_div(rows, share);
    const Scratch partial(stream, dweight ? static_cast<std::size_t>(count * cols) * sizeof(float) : 0);
    if (dweight) {  // first, since dx may take dy's place
      const dim3 grid(static_cast<unsigned>(ceil_div(cols, kAnyThreads)), static_cast<unsigned>(count));
      weight_shares_any<T>
          <<<grid, kAnyThreads, 0, device::native(stream)>>>(dy, x, inv_rms, partial.as<float>(), rows, cols, share);
      check_launch();
    }
    backward_rows_any<T><<<static_cast<unsigned>(rows), kAnyThreads, 0, device::native(stream)>>>(
        dy, x, weight, inv_rms, residual, dx, cols);
    check_launch();
    if (dweight) sum_shares(stream, partial.as<float>(), count);
  }
};

void check_views(const char* op, const View& x, const View& y, const View& weight, const View& inv_rms) {
  expect_rows(x, x.dtype, x.rows(), x.cols(), op, "x");
  expect_rows(y, x.dtype, x.rows(), x.cols(), op, "y");
  expect_vector(weight, x.dtype, x.cols(), op, "weight");
  if (inv_rms) expect_vector(inv_rms, Dtype::f32, x.rows(), op, "inv_rms");
}

}  // namespace

void rms_norm(const Stream& stream, View x, View weight, float eps, View y, View inv_rms) {
  check_views("rms_norm", x, y, weight, inv_rms);
  const auto n = static_cast<double>(x.numel());
  const Span span(stream, "rms_norm", {2 * n * static_cast<double>(size_of(x.dtype)), 4 * n});
  if (x.numel() == 0) return;
  with_type(x.dtype, "rms_norm",
            [&](auto t) { forward<false, decltype(t)>(stream, x, View{}, weight, eps, y, inv_rms); });
}

void add_rms_norm(const Stream& stream, View x, View sum, View weight, float eps, View y, View inv_rms) {
  check_views("add_rms_norm", x, y, weight, inv_rms);
  expect_rows(sum, x.dtype, x.rows(), x.cols(), "add_rms_norm", "sum");
  const auto n = static_cast<double>(x.numel());
  const Span span(stream, "add_rms_norm", {4 * n * static_cast<double>(size_of(x.dtype)), 5 * n});
  if (x.numel() == 0) return;
  with_type(x.dtype, "add_rms_norm",
            [&](auto t) { forward<true, decltype(t)>(stream, x, sum, weight, eps, y, inv_rms); });
}

void rms_norm_backward(const Stream& stream, View dy, View x, View weight, View inv_rms, View residual, View dx,
                       View dweight) {
  constexpr const char* kOp = "rms_norm_backward";
  const std::int64_t rows = x.rows(), cols = x.cols();
  check_views(kOp, x, dx, weight, {});
  expect_rows(dy, x.dtype, rows, cols, kOp, "dy");
  if (residual) expect_rows(residual, x.dtype, rows, cols, kOp, "residual");
  expect_vector(inv_rms, Dtype::f32, rows, kOp, "inv_rms");
  if (dweight) expect_vector(dweight, Dtype::f32, cols, kOp, "dweight");
  const auto n = static_cast<double>(x.numel());
  const Span span(stream, kOp, {(residual ? 4 : 3) * n * static_cast<double>(size_of(x.dtype)), 12 * n});
  if (x.numel() == 0) return;
  with_type(x.dtype, kOp, [&](auto t) {
    using T = decltype(t);
    constexpr int N = 16 / static_cast<int>(sizeof(T));
    const Backward<T> b{matrix<const T>(dy),
                        matrix<const T>(x),
                        static_cast<const T*>(weight.data),
                        static_cast<const float*>(inv_rms.data),
                        matrix<const T>(residual),
                        matrix<T>(dx),
                        static_cast<float*>(dweight.data),
                        rows,
                        cols};
    if (packs<T, N>(dy) && packs<T, N>(x) && packs<T, N>(dx) && (!residual || packs<T, N>(residual)) &&
        aligned(weight) && cols <= 1024 * kThreadCols)
      b.run_wide(stream);
    else
      b.run_any(stream);
  });
}

}  // namespace eddy::kernels::cuda
