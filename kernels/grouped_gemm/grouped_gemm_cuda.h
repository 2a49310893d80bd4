#pragma once
// The experts' products on a GPU. Two ways, chosen by grouped_gemm and grouped_gemm_backward_weight: Hopper's (bf16,
// CUTLASS: TMA and wgmma), and a plain one (float32, older GPUs, and rows that TMA cannot address). Both take the rows'
// offsets where they are, on the device.
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels::cuda {
using device::Stream;
using tensor::View;

void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y);
void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, View offsets, View dw, float beta);

/// float32: FMA in float32; bf16: tensor cores through mma.sync. Any widths, strides and alignment. Deterministic.
void grouped_gemm_plain(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y);
void grouped_gemm_backward_weight_plain(const Stream& stream, View dy, View x, View offsets, View dw, float beta);

/// Whether Hopper's kernels may take these: a Hopper GPU, bf16 operands, rows aligned to 16 bytes, nothing empty.
bool grouped_gemm_takes_sm90(const Stream& stream, View x, View w, View y);
bool grouped_gemm_backward_weight_takes_sm90(const Stream& stream, View dy, View x, View dw);
/// Only for what takes_sm90 accepts. Deterministic.
void grouped_gemm_sm90(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y);
void grouped_gemm_backward_weight_sm90(const Stream& stream, View dy, View x, View offsets, View dw, float beta);

/// The GPU a stream runs on, asked once.
struct GroupedGemmGpu {
  explicit GroupedGemmGpu(const Stream&);
  int device = 0, major = 0, minor = 0, multiprocessors = 0;
};

}  // namespace eddy::kernels::cuda
