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

/// A tile on its way out is added to what is there, in float32, by the L2 cache: the kernel itself never loads D. Each
/// element of D belongs to one tile, so the bits are the same each time. CUTLASS has the instruction, but not for
/// descriptors that change from group to group.
struct TmaAdd : cute::SM90_TMA_REDUCE_ADD {};
struct TmaAddBy : cute::SM90_TMA_REDUCE_ADD {};  // the same through a descriptor given by address

}  // namespace eddy::kernels::cuda::sm90

namespace cute {
template <class Bits>
struct Copy_Traits<eddy::kernels::cuda::sm90::TmaAddBy, Bits> {
  using ThrID = Layout<_1>;
  using SrcLayout = Layout<Shape<_1, Bits>>;
  using DstLayout = Layout<Shape<_1, Bits>>;
  using RefLayout = SrcLayout;
  TmaDescriptor const* descriptor;

  template <class A, class ALayout, class B, class BLayout>
  CUTE_HOST_DEVICE friend constexpr void copy_unpack(Copy_Traits const& traits, Tensor<A, ALayout> const& from,
                                                     Tensor<B, BLayout>& to) {
    static_assert(is_smem<A>::value);
    const auto at = to.data().coord_;
    void const* const descriptor = traits.descriptor;
    void const* const tile = raw_pointer_cast(from.data());
    detail::explode_tuple(detail::CallCOPY<SM90_TMA_REDUCE_ADD>{}, make_tuple(descriptor, tile), seq<0, 1>{}, at,
                          tuple_seq<decltype(at)>{});
  }
};
template <class Bits, class Auxiliary>
struct Copy_Traits<eddy::kernels::cuda::sm90::TmaAdd, Bits, Auxiliary>
    : Copy_Traits<SM90_TMA_REDUCE_ADD, Bits, Auxiliary> {
  CUTE_HOST_DEVICE constexpr Copy_Traits<eddy::kernels::cuda::sm90::TmaAddBy, Bits> with(
      TmaDescriptor const* descriptor) const {
    return {descriptor};
  }
};
}  // namespace cute

namespace eddy::kernels::cuda::sm90 {

/// CUTLASS's epilogue with another instruction to store D by.
template <class Epilogue, class Store>
struct StoreBy;
template <class Policy, class Tile, class Part, class C, class StrideC, class D, class StrideD, class Fusion,
          class Load, class LayoutC, class FromC, class Before, class LayoutD, class ToD, class... Others, class Store>
struct StoreBy<cutlass::epilogue::collective::CollectiveEpilogue<Policy, Tile, Part, C, StrideC, D, StrideD, Fusion,
                                                                 Load, LayoutC, FromC, Before, LayoutD, ToD, Others...>,
               Store> {
  using Type = cutlass::epilogue::collective::CollectiveEpilogue<Policy, Tile, Part, C, StrideC, D, StrideD, Fusion,
                                                                 Load, LayoutC, FromC, Store, LayoutD, ToD, Others...>;
};

/// Both warp groups of a block work on one tile (cooperative), or each on its own, so that one stores while the other
/// multiplies (ping-pong).
enum class Groups { cooperative, ping_pong };

/// LayoutA: RowMajor where A's k axis is contiguous, ColumnMajor where m is; LayoutB: ColumnMajor where B's k axis is
/// contiguous, RowMajor where n is (CUTLASS names the layout of B [k, n]). Store: cute::SM90_TMA_STORE (D = A·B) or
/// TmaAdd (D += A·B, float32 only). D is never loaded, which leaves shared memory for A and B.
template <class LayoutA, class LayoutB, class Out, class Store, class Cluster,
          class TileShape = cute::Shape<cute::_128, cute::_256, cute::_64>, Groups groups = Groups::cooperative>
struct GroupedKernel {
  using Shape = cutlass::gemm::GroupProblemShape<cute::Shape<int, int, int>>;
  using In = cutlass::bfloat16_t;
  using RowMajor = cutlass::layout::RowMajor;
  static constexpr int kAlign = 8, kAlignOut = 16 / sizeof(Out);  // TMA: 16 bytes
  static constexpr bool kCooperative = groups == Groups::cooperative;
  using EpilogueSchedule = cute::conditional_t<kCooperative, cutlass::epilogue::PtrArrayTmaWarpSpecializedCooperative,
                                               cutlass::epilogue::PtrArrayTmaWarpSpecializedPingpong>;
  using MainloopSchedule = cute::conditional_t<kCooperative, cutlass::gemm::KernelPtrArrayTmaWarpSpecializedCooperative,
                                               cutlass::gemm::KernelPtrArrayTmaWarpSpecializedPingpong>;

  using Epilogue =
      typename StoreBy<typename cutlass::epilogue::collective::CollectiveBuilder<
                           cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, TileShape, Cluster,
                           cutlass::epilogue::collective::EpilogueTileAuto, float, float, void, RowMajor*, kAlignOut,
                           Out, RowMajor*, kAlignOut, EpilogueSchedule,
                           cutlass::epilogue::fusion::LinearCombination<Out, float, void, float>>::CollectiveOp,
                       Store>::Type;
  using Mainloop = typename cutlass::gemm::collective::CollectiveBuilder<
      cutlass::arch::Sm90, cutlass::arch::OpClassTensorOp, In, LayoutA*, kAlign, In, LayoutB*, kAlign, float, TileShape,
      Cluster,
      cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(sizeof(typename Epilogue::SharedStorage))>,
      MainloopSchedule>::CollectiveOp;
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

/// along_n: consecutive tiles lie along n, else along m.
template <class Kernel, RowsAre rows_are, class Out>
void run_grouped(const Stream& stream, const GroupedProblem<cutlass::bfloat16_t, Out>& problem, bool along_n,
                 const char* what) {
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
  hardware.sm_count = gpu.multiprocessors;
  typename Gemm::Arguments arguments;
  arguments.mode = cutlass::gemm::GemmUniversalMode::kGrouped;
  arguments.problem_shape = {problem.groups, arrays.size, nullptr};
  arguments.mainloop = {arrays.a, arrays.a_stride, arrays.b, arrays.b_stride};
  arguments.epilogue.thread.alpha = 1;
  arguments.epilogue.dC = arrays.d_stride;  // not read
  arguments.epilogue.ptr_D = arrays.d;
  arguments.epilogue.dD = arrays.d_stride;
  arguments.hw_info = hardware;
  using Raster = typename Gemm::GemmKernel::TileScheduler::RasterOrderOptions;
  arguments.scheduler.raster_order = along_n ? Raster::AlongN : Raster::AlongM;
  check_status(Gemm::can_implement(arguments), what);
  const Scratch workspace(stream, Gemm::get_workspace_size(arguments));
  Gemm gemm;
  check_status(gemm.initialize(arguments, workspace.as<std::byte>(), device::native(stream)), what);
  check_status(gemm.run(device::native(stream)), what);
}

}  // namespace eddy::kernels::cuda::sm90
