#pragma once
// The GPU's side of attention.h: what `attention` chooses from. Tests call the two ways by name.
#include "kernels/attention/attention.h"

namespace eddy::kernels::cuda {

/// cuDNN where it takes the case (see attention_cudnn), the plain kernels otherwise. With several documents, or a
/// length that is no multiple of 128, cuDNN keeps lse as [T, heads] in lse's elements: on the GPU lse of bf16 attention
/// has one reader, attention_backward, with the same documents.
void attention(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale, View o,
               View lse);
void attention_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                        const Documents& documents, float scale, View dq, View dk, View dv, bool deterministic);

/// float32 or bf16, d_qk and d_v at most 256, any GPU; float32 throughout the arithmetic (no TF32), deterministic.
/// row_stride is honoured. lse [heads, T].
void attention_plain(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale,
                     View o, View lse);
/// lse_by_token: lse holds [T, heads], as attention_cudnn may have left it.
void attention_plain_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                              const Documents& documents, float scale, View dq, View dk, View dv,
                              bool lse_by_token = false);

/// Contiguous bf16 by cuDNN's fused kernels, on compute capability 9.0 or newer. Returns false, with nothing enqueued,
/// where cuDNN does not take the case; the first refusal is logged with cuDNN's reason. The first call of a shape
/// compiles a plan (seconds), kept with the stream; with several documents their number and longest length are rounded
/// up, so that few plans serve all packings.
bool attention_cudnn(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale,
                     View o, View lse);
/// The same for the gradients; false also where attention_cudnn refused the same documents. A deterministic run works
/// through heads and documents in groups, since cuDNN then keeps the probabilities' gradient of all that one call
/// takes.
bool attention_cudnn_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                              const Documents& documents, float scale, View dq, View dk, View dv, bool deterministic);
/// Whether attention_cudnn takes this case and leaves lse as [T, heads].
bool attention_cudnn_lse_by_token(const Stream& stream, View q, View k, View v, View o, View lse, int heads,
                                  const Documents& documents, float scale);

void mla_split_kv(const Stream& stream, View kv, View k_rope, View positions, const RopeTable& table, int heads,
                  int nope, int d_v, View k, View v);
void mla_split_kv_backward(const Stream& stream, View dk, View dv, View positions, const RopeTable& table, int heads,
                           int nope, int d_v, View dkv, View dk_rope);

}  // namespace eddy::kernels::cuda
