// The experts' products on any GPU, for any strides and alignment. A block makes one tile of one expert's result; it
// finds its expert in the offsets, so that the host need not know them. bf16: mma.sync (PTX ISA, "Matrix Fragments for
// mma.m16n8k16") on tiles that cp.async brings into shared memory; float32: FMA.
#include "kernels/grouped_gemm/grouped_gemm_cuda.h"
#include "kernels/grouped_gemm/grouped_problem.cuh"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// One tile of one expert's product: its first row and column, the expert's rows, the product's extents.
struct Tile {
  int e = -1;  // -1: none
  std::int64_t first_row = 0, m0 = 0, n0 = 0, m = 0, k = 0;
};
/// Groups of m: blockIdx.x counts the experts' tiles one after the other. Groups of k: blockIdx.x and z are tile,
/// expert.
template <RowsAre rows_are, int kTile, class Problem>
__device__ Tile find_tile(const Problem& p) {
  Tile t;
  t.n0 = std::int64_t{blockIdx.y} * kTile;
  if constexpr (rows_are == RowsAre::k) {
    t.e = static_cast<int>(blockIdx.z);
    const GroupRows rows = group_rows(p, t.e);
    t.first_row = rows.begin;
    t.m0 = std::int64_t{blockIdx.x} * kTile;
    t.m = p.m;
    t.k = rows.count;
  } else {
    std::int64_t before = 0;  // tiles of the experts so far
    for (int e = 0; e < p.groups; ++e) {
      const GroupRows rows = group_rows(p, e);
      const std::int64_t tiles = ceil_div(rows.count, kTile);
      if (blockIdx.x < before + tiles) {
        t.e = e;
        t.first_row = rows.begin;
        t.m0 = (blockIdx.x - before) * kTile;
        t.m = rows.count;
        t.k = p.k;
        break;
      }
      before += tiles;
    }
  }
  return t;
}

/// An expert's operand: element (line, k) at data[line · stride + k] where k is contiguous, else data[k · stride +
/// line].
template <class T>
struct Lines {
  const T* data;
  std::int64_t stride, first, end, k_end;  // the tile's lines: [first, end), of which it takes as many as it is high
};
template <class Problem>
__device__ auto lines_of_a(const Problem& p, const Tile& t) {
  return Lines{group_data(p.a, t.first_row, t.e), p.a.stride, t.m0, t.m, t.k};
}
template <class Problem>
__device__ auto lines_of_b(const Problem& p, const Tile& t) {
  return Lines{group_data(p.b, t.first_row, t.e), p.b.stride, t.n0, std::int64_t{p.n}, t.k};
}

// ---- float32 ----

constexpr int kFloatTile = 64, kFloatDepth = 16;

/// Columns [k0, k0 + depth) of the tile's lines, transposed; 0 beyond the ends.
template <bool kContiguousK>
__device__ void load_floats(float (*to)[kFloatTile + 4], const Lines<float>& from, std::int64_t k0) {
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kFloatTile * kFloatDepth; i += kThreads) {
    const int line = kContiguousK ? i / kFloatDepth : i % kFloatTile;
    const int depth = kContiguousK ? i % kFloatDepth : i / kFloatTile;
    const std::int64_t at = from.first + line, k = k0 + depth;
    const bool inside = at < from.end && k < from.k_end;
    to[depth][line] = inside ? from.data[kContiguousK ? at * from.stride + k : k * from.stride + at] : 0.f;
  }
}

/// A thread makes 4 by 4 elements.
template <RowsAre rows_are, bool kContiguousA, bool kContiguousB>
__global__ void __launch_bounds__(kThreads) grouped_floats(GroupedProblem<float, float> p) {
  __shared__ alignas(16) float a[kFloatDepth][kFloatTile + 4];
  __shared__ alignas(16) float b[kFloatDepth][kFloatTile + 4];
  const Tile t = find_tile<rows_are, kFloatTile>(p);
  if (t.e < 0) return;
  const Lines a_lines = lines_of_a(p, t), b_lines = lines_of_b(p, t);
  const int row = static_cast<int>(threadIdx.x) / 16 * 4, col = static_cast<int>(threadIdx.x) % 16 * 4;
  float sum[4][4] = {};
  for (std::int64_t k0 = 0; k0 < t.k; k0 += kFloatDepth) {
    load_floats<kContiguousA>(a, a_lines, k0);
    load_floats<kContiguousB>(b, b_lines, k0);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kFloatDepth; ++k) {
      const auto x = load_pack<4>(&a[k][row]), y = load_pack<4>(&b[k][col]);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(x.v[i], y.v[j], sum[i][j]);
    }
    __syncthreads();
  }
  float* d = group_data(p.d, t.first_row, t.e);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      const std::int64_t m = t.m0 + row + i, n = t.n0 + col + j;
      if (m >= t.m || n >= p.n) continue;
      float& out = d[m * p.d.stride + n];
      out = p.beta == 0 ? sum[i][j] : sum[i][j] + p.beta * out;
    }
}

// ---- bf16 ----

constexpr int kTile = 128, kDepth = 32, kStages = 3;
/// Shared memory holds 128 lines of 32 (k contiguous) or 32 of 128; 16 bytes more a line spread ldmatrix's rows over
/// the banks.
template <bool kContiguousK>
constexpr int kPitch = (kContiguousK ? kDepth : kTile) + 8;
template <bool kContiguousK>
constexpr int kOperandElements = (kContiguousK ? kTile : kDepth) * kPitch<kContiguousK>;

__device__ unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}

/// Starts bringing columns [k0, k0 + depth) of the tile's lines; 0 beyond the ends. kAligned: addresses and strides are
/// multiples of 16 bytes.
template <bool kContiguousK, bool kAligned>
__device__ void load_lines(bf16* to, const Lines<bf16>& from, std::int64_t k0) {
  constexpr int kPacks = (kContiguousK ? kDepth : kTile) / 8;  // of 8 elements in a line
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth / 8; i += kThreads) {
    const int outer = i / kPacks, inner = i % kPacks * 8;
    const std::int64_t row = (kContiguousK ? from.first : k0) + outer, row_end = kContiguousK ? from.end : from.k_end;
    const std::int64_t col = (kContiguousK ? k0 : from.first) + inner, col_end = kContiguousK ? from.k_end : from.end;
    const std::int64_t left = row < row_end ? col_end - col : 0;
    const int valid = left < 0 ? 0 : left > 8 ? 8 : static_cast<int>(left);
    const bf16* source = valid ? from.data + row * from.stride + col : from.data;
    bf16* at = to + outer * kPitch<kContiguousK> + inner;
    if constexpr (kAligned) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(at)), "l"(source),
                   "r"(valid * 2)
                   : "memory");
    } else {
#pragma unroll
      for (int j = 0; j < 8; ++j) at[j] = j < valid ? source[j] : __float2bfloat16(0.f);
    }
  }
}

/// Four 8 by 8 matrices of bf16, a register each; `row` is the address of line lane % 8 of matrix lane / 8.
template <bool kTransposed>
__device__ void load_matrices(unsigned (&to)[4], const bf16* row) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}
/// Of a 16-line, 16-deep piece from (line, k) on: the address this lane gives load_matrices. kLinesFirst: matrices come
/// in the order (line, k) = (0, 0), (8, 0), (0, 8), (8, 8), as A's fragment wants; else (0, 0), (0, 8), (8, 0), (8, 8):
/// two fragments of B.
template <bool kContiguousK, bool kLinesFirst>
__device__ const bf16* piece(const bf16* tile, int line, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32, matrix = lane / 8, within = lane % 8;
  line += kLinesFirst ? matrix % 2 * 8 : matrix / 2 * 8;
  k += kLinesFirst ? matrix / 2 * 8 : matrix % 2 * 8;
  return kContiguousK ? tile + (line + within) * kPitch<true> + k : tile + (k + within) * kPitch<false> + line;
}

__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// A warp makes 64 by 32 elements: 4 by 4 fragments.
template <bool kContiguousA, bool kContiguousB>
__device__ void multiply_stage(float (&sum)[4][4][4], const bf16* a, const bf16* b, int row, int col) {
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    unsigned x[4][4], y[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) load_matrices<!kContiguousA>(x[i], piece<kContiguousA, true>(a, row + 16 * i, k));
#pragma unroll
    for (int j = 0; j < 2; ++j) load_matrices<!kContiguousB>(y[j], piece<kContiguousB, false>(b, col + 16 * j, k));
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) multiply_add(sum[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
  }
}

/// Two neighbours in a row, or the first alone; as one access where `paired`.
template <class Out>
__device__ void store_two(Out* at, float first, float second, bool both, bool paired, float beta) {
  if (paired && both) {
    if (beta != 0) {
      const auto old = load_pack<2>(at);
      first += beta * to_float(old.v[0]), second += beta * to_float(old.v[1]);
    }
    return store_pack(at, Pack<Out, 2>{{from_float<Out>(first), from_float<Out>(second)}});
  }
  at[0] = from_float<Out>(beta == 0 ? first : first + beta * to_float(at[0]));
  if (both) at[1] = from_float<Out>(beta == 0 ? second : second + beta * to_float(at[1]));
}

template <RowsAre rows_are, bool kContiguousA, bool kContiguousB, bool kAligned, class Out>
__global__ void __launch_bounds__(kThreads, 2) grouped_bf16(GroupedProblem<bf16, Out> p, bool paired) {
  extern __shared__ __align__(16) unsigned char memory[];
  bf16* a = reinterpret_cast<bf16*>(memory);
  bf16* b = a + kStages * kOperandElements<kContiguousA>;
  const Tile t = find_tile<rows_are, kTile>(p);
  if (t.e < 0) return;
  const Lines a_lines = lines_of_a(p, t), b_lines = lines_of_b(p, t);
  const auto steps = static_cast<int>(ceil_div(t.k, kDepth));
  // A step that is not there still counts as a group of copies, so that the wait below always means the same one.
  const auto load = [&](int step) {
    if (step < steps) {
      const int stage = step % kStages;
      load_lines<kContiguousA, kAligned>(a + stage * kOperandElements<kContiguousA>, a_lines,
                                         std::int64_t{step} * kDepth);
      load_lines<kContiguousB, kAligned>(b + stage * kOperandElements<kContiguousB>, b_lines,
                                         std::int64_t{step} * kDepth);
    }
    asm volatile("cp.async.commit_group;\n" ::: "memory");
  };
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row = warp / 4 * 64, col = warp % 4 * 32;
  float sum[4][4][4] = {};
  for (int step = 0; step < kStages - 1; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(kStages - 2) : "memory");
    __syncthreads();           // this step's stage is there, and everybody has done with the one before
    load(step + kStages - 1);  // into which this goes
    const int stage = step % kStages;
    multiply_stage<kContiguousA, kContiguousB>(sum, a + stage * kOperandElements<kContiguousA>,
                                               b + stage * kOperandElements<kContiguousB>, row, col);
  }
  Out* d = group_data(p.d, t.first_row, t.e);
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {  // a fragment's rows lane / 4 and 8 below
        const std::int64_t m = t.m0 + row + 16 * i + 8 * half + lane / 4, n = t.n0 + col + 8 * j + lane % 4 * 2;
        if (m < t.m && n < p.n)
          store_two(d + m * p.d.stride + n, sum[i][j][2 * half], sum[i][j][2 * half + 1], n + 1 < p.n, paired, p.beta);
      }
}

// ---- launching ----

/// Whether all addresses of the operand are multiples of `elements` elements.
template <class T>
bool multiples(const GroupedOperand<T>& o, std::int64_t elements) {
  return reinterpret_cast<std::uintptr_t>(o.data) % (static_cast<std::size_t>(elements) * sizeof(T)) == 0 &&
         o.row_step % elements == 0 && o.group_step % elements == 0 && o.stride % elements == 0;
}

/// Blocks for tiles of `tile` elements. Where the groups are of m, as many as any offsets may need: each expert's last
/// tile may hold but one row.
template <RowsAre rows_are, class Problem>
dim3 grid_of(const Problem& p, int tile) {
  const auto blocks = [&](std::int64_t n) { return static_cast<unsigned>(ceil_div(n, tile)); };
  if (rows_are == RowsAre::k) return {blocks(p.m), blocks(p.n), static_cast<unsigned>(p.groups)};
  const std::int64_t most = std::min<std::int64_t>(p.rows / tile + p.groups, p.rows);
  return {static_cast<unsigned>(most), blocks(p.n), 1};
}

template <RowsAre rows_are, bool kContiguousA, bool kContiguousB>
void launch(const Stream& stream, const GroupedProblem<float, float>& p) {
  grouped_floats<rows_are, kContiguousA, kContiguousB>
      <<<grid_of<rows_are>(p, kFloatTile), kThreads, 0, device::native(stream)>>>(p);
  check_launch();
}
template <RowsAre rows_are, bool kContiguousA, bool kContiguousB, class Out>
void launch(const Stream& stream, const GroupedProblem<bf16, Out>& p) {
  constexpr int kBytes =
      kStages * (kOperandElements<kContiguousA> + kOperandElements<kContiguousB>)*static_cast<int>(sizeof(bf16));
  const auto go = [&](auto* kernel) {
    device::check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
    kernel<<<grid_of<rows_are>(p, kTile), kThreads, kBytes, device::native(stream)>>>(p, multiples(p.d, 2));
    check_launch();
  };
  if (multiples(p.a, 8) && multiples(p.b, 8))
    go(grouped_bf16<rows_are, kContiguousA, kContiguousB, true, Out>);
  else
    go(grouped_bf16<rows_are, kContiguousA, kContiguousB, false, Out>);
}

}  // namespace

void grouped_gemm_plain(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y) {
  if (w.shape[0] == 0 || std::min(x.rows(), y.rows()) == 0 || y.cols() == 0) return;
  with_type(x.dtype, "grouped_gemm", [&](auto type) {
    const auto p = rows_problem<decltype(type)>(x, w, offsets, y);
    if (transpose_w)
      launch<RowsAre::m, true, true>(stream, p);
    else
      launch<RowsAre::m, true, false>(stream, p);
  });
}

void grouped_gemm_backward_weight_plain(const Stream& stream, View dy, View x, View offsets, View dw, float beta) {
  if (dw.numel() == 0) return;
  with_type(x.dtype, "grouped_gemm_backward_weight", [&](auto type) {
    launch<RowsAre::k, false, false>(stream, weight_problem<decltype(type)>(dy, x, offsets, dw, beta));
  });
}

}  // namespace eddy::kernels::cuda
