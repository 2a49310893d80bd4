#pragma once
// One product a group, all in one persistent launch: CUTLASS's pointer-array kernel for Hopper (one warp group loads
// tiles through TMA, two multiply with wgmma; each block rewrites its TMA descriptors when it comes to another group).
// Sizes, addresses and strides of the groups are filled in on the device, so the host never learns the offsets.
#include <cutlass/cutlass.h>
#include <cutlass/gemm/device/gemm_universal_adapter.h>
#include <cute/tensor.hpp>
#include <cutlass/epilogue/collective/collective_builder.hpp>
#include <cutlass/epilogue/dispatch_policy.hpp>
#include <cutlass/gemm/collective/collective_builder.hpp>
#include <cutlass/gemm/dispatch_policy.hpp>
#include <cutlass/gemm/group_array_problem_shape.hpp>
#include <cutlass/gemm/kernel/gemm_universal.hpp>

#include "kernels/grouped_gemm/grouped_gemm_cuda.h"
#include "kernels/grouped_gemm/grouped_problem.cuh"

namespace eddy::kernels::cuda::sm90 {

/// LayoutA: RowMajor where A's k axis is contiguous, ColumnMajor where m is; LayoutB: ColumnMajor where B's k axis is
/// contiguous, RowMajor where n is (CUTLASS names the layout of B [k, n]). Accumulate: whether beta may be other than
/// 0.
template <class LayoutA, class LayoutB, class Out, bool Accumulate, class Cluster>
struct GroupedKernel {
  using Shape = cutlass::gemm::GroupProblemShape<cute::Shape<int, int, int>>;
  using In = cutlass::bfloat16_t;
  using Source = cute::conditional_t<Accumulate, Out, void>;
  using Tile = cute::Shape<cute::_128, cute::_256, cute::_64>;
  using RowMajor = cutlass::layout::RowMajor;
  static constexpr int kAlign = 8, kAlignOut = 16 / sizeof(Out);  // TMA: 16 bytes

  using Epilogue = typename cutlass::epilogue::collective::CollectiveBuilder<
      cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, Tile, Cluster,
      cutlass::epilogue::collective::EpilogueTileAuto, float, float, Source, RowMajor*, kAlignOut, Out, RowMajor*,
      kAlignOut, cutlass::epilogue::PtrArrayTmaWarpSpecializedCooperative,
      cutlass::epilogue::fusion::LinearCombination<Out, float, Source, float>>::CollectiveOp;
  using Mainloop = typename cutlass::gemm::collective::CollectiveBuilder<
      cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, In, LayoutA*, kAlign, In, LayoutB*, kAlign, float, Tile,
      Cluster,
      cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(sizeof(typename Epilogue::SharedStorage))>,
      cutlass::gemm::KernelPtrArrayTmaWarpSpecializedCooperative>::CollectiveOp;
  using Gemm =
      cutlass::gemm::device::GemmUniversalAdapter<cutlass::gemm::kernel::GemmUniversal<Shape, Mainloop, Epilogue>>;
};

template <class S>
__device__ void set_stride(S& stride, std::int64_t value) {
  if constexpr (cute::is_static<cute::tuple_element_t<0, S>>::value)
    cute::get<1>(stride) = value;
  else
    cute::get<0>(stride) = value;
}

/// The device arrays that the kernel reads, `groups` entries each.
template <class Kernel, class Out>
struct GroupArrays {
  using Gemm = typename Kernel::Gemm;
  using StrideA = typename Gemm::GemmKernel::InternalStrideA;
  using StrideB = typename Gemm::GemmKernel::InternalStrideB;
  using StrideD = typename Gemm::GemmKernel::InternalStrideD;
  using Size = typename Kernel::Shape::UnderlyingProblemShape;
  const cutlass::bfloat16_t **a, **b;
  Out** d;
  StrideA* a_stride;
  StrideB* b_stride;
  StrideD* d_stride;
  Size* size;

  static constexpr std::size_t kBytesPerGroup =
      3 * sizeof(void*) + sizeof(StrideA) + sizeof(StrideB) + sizeof(StrideD) + sizeof(Size);
  /// memory: kBytesPerGroup · groups bytes, aligned to 16.
  GroupArrays(std::byte* memory, int groups) {
    const auto next = [&](auto*& array) {
      array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(memory);
      memory += static_cast<std::size_t>(groups) * sizeof(*array);
    };
    next(a), next(b), next(d), next(a_stride), next(b_stride), next(d_stride), next(size);  // 8-byte entries first
  }
};

template <RowsAre rows_are, class Problem, class Arrays>
__global__ void fill_groups(Problem p, Arrays out) {
  for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < p.groups; e += gridDim.x * blockDim.x) {
    const auto [begin, count] = group_rows(p, e);
    const int rows = static_cast<int>(count);
    out.a[e] = group_data(p.a, begin, e);
    out.b[e] = group_data(p.b, begin, e);
    out.d[e] = group_data(p.d, begin, e);
    set_stride(out.a_stride[e], p.a.stride);
    set_stride(out.b_stride[e], p.b.stride);
    set_stride(out.d_stride[e], p.d.stride);
    if constexpr (rows_are == RowsAre::m)
      out.size[e] = cute::make_shape(rows, p.n, p.k);
    else  // a group with nothing to sum over has no tiles: the kernel would store what its registers happen to hold
      out.size[e] = rows ? cute::make_shape(p.m, p.n, rows) : cute::make_shape(0, 0, 0);
  }
}

inline void check_status(cutlass::Status status, const char* what) {
  if (status != cutlass::Status::kSuccess)
    fail_run("{}: {} (CUTLASS; {})", what, cutlass::cutlassGetStatusString(status),
             cudaGetErrorString(cudaGetLastError()));
}

template <class Kernel, RowsAre rows_are, class Out>
void run_grouped(const Stream& stream, const GroupedProblem<cutlass::bfloat16_t, Out>& problem, const char* what) {
  using Gemm = typename Kernel::Gemm;
  using Arrays = GroupArrays<Kernel, Out>;
  static_assert(Gemm::GemmKernel::SharedStorageSize <= cutlass::gemm::collective::detail::sm90_smem_capacity_bytes);
  const auto& gpu = stream.state<GroupedGemmGpu>();
  const Scratch memory(stream, Arrays::kBytesPerGroup * static_cast<std::size_t>(problem.groups));
  const Arrays arrays(memory.as<std::byte>(), problem.groups);
  fill_groups<rows_are><<<1, 256, 0, device::native(stream)>>>(problem, arrays);
  check_launch();

  cutlass::KernelHardwareInfo hardware;
  hardware.device_id = gpu.device;
  hardware.sm_count = gpu.multiprocessors - stream.state<device::LeftToLane>().multiprocessors;
  typename Gemm::Arguments arguments;
  arguments.mode = cutlass::gemm::GemmUniversalMode::kGrouped;
  arguments.problem_shape = {problem.groups, arrays.size, nullptr};
  arguments.mainloop = {arrays.a, arrays.a_stride, arrays.b, arrays.b_stride};
  arguments.epilogue.thread.alpha = 1;
  arguments.epilogue.thread.beta = problem.beta;
  if constexpr (!std::is_void_v<typename Gemm::GemmKernel::ElementC>)
    arguments.epilogue.ptr_C = const_cast<const Out**>(arrays.d);
  arguments.epilogue.dC = arrays.d_stride;
  arguments.epilogue.ptr_D = arrays.d;
  arguments.epilogue.dD = arrays.d_stride;
  arguments.hw_info = hardware;
  check_status(Gemm::can_implement(arguments), what);
  const Scratch workspace(stream, Gemm::get_workspace_size(arguments));
  Gemm gemm;
  check_status(gemm.initialize(arguments, workspace.as<std::byte>(), device::native(stream)), what);
  check_status(gemm.run(device::native(stream)), what);
}

}  // namespace eddy::kernels::cuda::sm90
