#pragma once
#include <span>

#include "device/stream.h"
#include "kernels/rope/rope.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// Where packed documents lie: tokens [cu_seqlens[d], cu_seqlens[d+1]) are document d. [D + 1] int32, from 0 to T;
/// empty documents allowed.
struct Documents {
  std::span<const std::int32_t> cu_seqlens;  ///< on the host, where launches are planned
  View on_device{};                          ///< the same in the GPU's memory; empty on the CPU
};

/// Causal softmax attention over packed documents, each attending within itself only. q, k [T, heads · d_qk], v [T,
/// heads · d_v], o [T, heads · d_v] of one type, lse [heads, T] float32 out: log Σ exp of the scaled scores.
/// Deterministic.
void attention(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale, View o,
               View lse);
/// Gradients dq, dk [T, heads · d_qk], dv [T, heads · d_v] (overwritten) from do; recomputes the probabilities from lse
/// (Dao 2023, "FlashAttention-2", algorithm 2). `deterministic` false lets a GPU add in any order, which is faster.
void attention_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                        const Documents& documents, float scale, View dq, View dk, View dv, bool deterministic = true);

/// MLA's keys and values from its up-projection: kv [T, heads · (nope + d_v)] (each head: nope then v) and the heads'
/// shared key k_rope [T, 2 · pairs of the table] (row_stride honoured), rotated on the way by rope's equation,
/// positions int32 [T] → k [T, heads · (nope + rope)], v [T, heads · d_v].
void mla_split_kv(const Stream& stream, View kv, View k_rope, View positions, const RopeTable& table, int heads,
                  int nope, int d_v, View k, View v);
/// The reverse for gradients: dkv overwritten, dk_rope [T, rope] = Σ over heads, rotated back. Deterministic.
void mla_split_kv_backward(const Stream& stream, View dk, View dv, View positions, const RopeTable& table, int heads,
                           int nope, int d_v, View dkv, View dk_rope);

}  // namespace eddy::kernels
