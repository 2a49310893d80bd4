#pragma once
// A tiny model of every kind of layer, on any layout of the ranks that run the test.
#include <vector>

#include "comm/session.h"
#include "hf/config.h"
#include "model/init.h"
#include "model/stage.h"
#include "parallel/groups.h"

namespace eddy_test {

inline eddy::comm::Session& session() {
  static eddy::comm::Session s;  // MPI is initialised by the test's main, and not finalized here
  return s;
}

/// 4 layers (the first dense), 8 experts in 4 groups, top-3, one MTP layer, q-LoRA unless `plain_q`.
inline eddy::hf::ModelConfig tiny_config(bool plain_q = false) {
  eddy::hf::ModelConfig c;
  c.vocab_size = 61;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.moe_intermediate_size = 20;
  c.num_layers = 4;
  c.num_heads = 4;
  c.n_shared_experts = 1;
  c.n_routed_experts = 8;
  c.top_k = 3;
  c.n_group = 4;
  c.topk_group = 2;
  c.routed_scaling_factor = 1.5;
  c.first_k_dense_replace = 1;
  c.kv_lora_rank = 16;
  c.q_lora_rank = plain_q ? 0 : 24;
  c.qk_nope_head_dim = 8;
  c.qk_rope_head_dim = 4;
  c.v_head_dim = 8;
  c.max_position_embeddings = 128;
  c.num_mtp_layers = 1;
  c.initializer_range = 0.2;  // large enough that softmaxes and gates are far from uniform
  return c;
}

/// Layouts of `world` ranks: every kind of parallelism that fits.
inline std::vector<eddy::parallel::Layout> layouts(int world) {
  switch (world) {
    case 1:
      return {{1, 1, 1, 1, 1}};
    case 2:
      return {{2, 2, 1, 1, 1}, {2, 1, 2, 1, 1}, {2, 2, 2, 1, 1}, {2, 1, 1, 2, 1}};
    case 4:
      return {{4, 4, 1, 1, 1}, {4, 2, 4, 1, 1}, {4, 4, 4, 1, 1}, {4, 1, 1, 4, 1},
              {4, 2, 1, 2, 1}, {4, 1, 2, 2, 1}, {4, 1, 2, 1, 1}};
    default:
      return {{8, 2, 4, 2, 1}, {8, 1, 8, 1, 1}, {8, 2, 2, 1, 1}, {8, 2, 2, 4, 1}};
  }
}

/// Stage, store and groups of this rank for one layout, with the same random weights in every layout.
struct TinyModel {
  eddy::hf::ModelConfig config;
  eddy::parallel::Groups groups;
  eddy::model::StagePlan plan;
  eddy::parallel::ParameterStore store;
  eddy::model::Stage stage;

  TinyModel(const eddy::hf::ModelConfig& c, const eddy::parallel::Layout& layout,
            const eddy::model::StageOptions& options)
      : config(c),
        groups(eddy::parallel::make_groups(session().world(), layout)),
        plan(eddy::model::plan_stages(c, layout.pp, options.mtp, 32)),
        store(eddy::model::stage_parameters(c, layout, session().rank(), plan), true),
        stage(config, groups, plan, store, options) {
    eddy::model::initialise(config, store, 7);
    for (const auto& p : store.all())  // a router bias that changes choices
      if (!p.info.trainable)
        for (std::int64_t i = 0; i < p.info.numel(); ++i) p.value.f32()[i] = 0.05f * static_cast<float>((i * 5) % 8);
  }
};

/// A row of documents with pseudo-random ids; what `lengths` leave of `seq_len` is padding. Every third token is no
/// target.
struct TinyRow {
  std::vector<std::int32_t> ids, lengths;
  std::vector<std::uint8_t> loss;
  TinyRow(std::int64_t seq_len, std::vector<std::int32_t> documents, int seed) : lengths(std::move(documents)) {
    std::int64_t used = 0;
    for (const auto n : lengths) used += n;
    for (std::int64_t i = 0; i < seq_len; ++i) {
      ids.push_back(i < used ? static_cast<std::int32_t>((i * i * 7 + i * (3 + seed) + 11 * seed) % 61) : 0);
      loss.push_back(i < used && (i + seed) % 3 != 0);
    }
  }
  eddy::model::Row row() const { return {ids, lengths, loss}; }
};

}  // namespace eddy_test
