#include "train/check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "model/parameters.h"
#include "shard/manifest.h"
#include "shard/sampler.h"
#include "train/memory.h"
#include "train/model_choice.h"

namespace eddy::train {
namespace {

using nlohmann::ordered_json;
using parallel::Group;
using parallel::ParameterInfo;
constexpr int kRanksInFull = 16;  // up to here each rank's tensors are printed one by one

std::string dims(const std::vector<std::int64_t>& v) {
  return fmt::format("[{}]", fmt::join(v, ", "));
}

std::int64_t count(const hf::ModelConfig& config, bool mtp) {
  std::int64_t n = 0;
  for (const auto& info : model::all_parameters(config, mtp)) n += info.global_numel();
  return n;
}
/// With the MTP layer's own copies of embedding and head, as the published files have them.
std::int64_t count_with_copies(const hf::ModelConfig& config) {
  return count(config, true) + 2 * static_cast<std::int64_t>(config.vocab_size) * config.hidden_size;
}

struct Plan {
  const Config& config;
  ModelChoice choice;
  parallel::Layout layout;
  int micro_batches;
  MemoryPlan memory;
  Plan(const Config& c, ModelChoice chosen, int ranks)
      : config(c),
        choice(std::move(chosen)),
        layout(c.parallel.layout(ranks, model::divisors(choice.config))),
        micro_batches(c.train.global_batch > 0 ? c.train.micro_batches(layout.dp()) : layout.pp),
        memory(choice.config, layout, engine_options(c, choice.mtp), c.train.micro_batch, micro_batches) {}
  /// Is each rank printed by itself?
  bool every_rank() const { return config.verbose || layout.world <= kRanksInFull; }
};

std::string place(const parallel::Coordinates& at) {
  return fmt::format("PP{} DP{} TP{}, EP{} EDP{}", at.pp, at.dp, at.tp, at.ep, at.edp);
}

std::string layers_text(const Plan& plan, int stage) {
  const auto& range = plan.memory.stages().stages[static_cast<std::size_t>(stage)];
  std::string text = range.last - range.first == 1 ? fmt::format("{}", range.first)
                                                   : fmt::format("{}-{}", range.first, range.last - 1);
  if (stage == 0) text = "embedding, " + text;
  if (stage == plan.layout.pp - 1) text += plan.choice.mtp ? ", head, MTP" : ", head";
  return text;
}

void add_head(const Plan& plan, std::string& out) {
  const auto& m = plan.choice.config;
  const auto line = [&](const char* what, const std::string& text) { out += fmt::format("{:<12}{}\n", what, text); };
  const int moe = m.n_routed_experts > 0 ? std::max(0, m.num_layers - m.first_k_dense_replace) : 0;
  line("model",
       fmt::format("{}: {} layers ({} dense, {} with {} experts, {} a token), hidden {}, vocabulary {}, {} positions",
                   plan.choice.name, m.num_layers, m.num_layers - moe, moe, m.n_routed_experts, m.top_k, m.hidden_size,
                   m.vocab_size, m.max_position_embeddings));
  line("parameters", with_commas(count(m, false)) + " in the main model, router biases included");
  if (m.num_mtp_layers > 0) {
    line("", with_commas(count_with_copies(m)) + " with the MTP layer and its own copies of embedding and head");
    line("", with_commas(count(m, plan.choice.mtp)) +
                 (plan.choice.mtp ? " trained (the MTP layer shares embedding and head)" : " trained (without MTP)"));
  }
  line("layout", fmt::format("{}, each expert on {} rank{}", plan.layout.text(), plan.layout.edp(),
                             plan.layout.edp() == 1 ? "" : "s"));
  const auto& t = plan.config.train;
  line("step", fmt::format("{} micro-batch{} of {} row{} of {} tokens on each of {} replica{}: {} rows{}",
                           plan.micro_batches, plan.micro_batches == 1 ? "" : "es", t.micro_batch,
                           t.micro_batch == 1 ? "" : "s", t.seq_len, plan.layout.dp(), plan.layout.dp() == 1 ? "" : "s",
                           std::int64_t{plan.micro_batches} * t.micro_batch * plan.layout.dp(),
                           t.global_batch > 0 ? "" : " (train.global_batch is not given: one micro-batch a stage)"));
}

/// A line a rank; with many ranks, a line a stage with the largest of each column (ZeRO's shares differ by whole rows).
void add_memory(Plan& plan, std::string& out) {
  const int size = plan.layout.stage_size();
  out += fmt::format("\nbytes of a rank in {}{}; activations: at the most, train.recompute = {}\n",
                     plan.config.train.dtype == "bf16" ? "bf16 with float32 masters" : "float32",
                     plan.every_rank() ? "" : ", the most of any rank of a stage", plan.config.train.recompute);
  const bool masters = plan.config.train.dtype == "bf16";
  const auto line = [&](const std::string& ranks, int stage, const std::vector<std::string>& columns) {
    out += fmt::format("{:<12}{:<7}{:<24}{:>12}\n", ranks, stage < 0 ? "stage" : fmt::format("{}", stage),
                       stage < 0 ? "layers" : layers_text(plan, stage), fmt::join(columns, "  "));
  };
  const auto columns = [masters](const RankMemory& m) {
    std::vector<std::size_t> bytes{m.values, m.gradients};
    if (masters) bytes.push_back(m.masters);
    bytes.insert(bytes.end(), {m.moments, m.activations, m.total()});
    std::vector<std::string> c;
    for (const std::size_t n : bytes) c.push_back(fmt::format("{:>12}", bytes_text(static_cast<double>(n))));
    return c;
  };
  std::vector<std::string> titles{"  parameters", "   gradients"};
  if (masters) titles.push_back("     masters");
  titles.insert(titles.end(), {"     moments", " activations", "       total"});
  line(plan.every_rank() ? "rank" : "ranks", -1, titles);
  double all = 0;
  for (int stage = 0; stage < plan.layout.pp; ++stage) {
    RankMemory most;
    for (int rank = stage * size; rank < (stage + 1) * size; ++rank) {
      const RankMemory m = plan.memory.of(rank);
      all += static_cast<double>(m.total());
      if (plan.every_rank()) line(fmt::format("{}", rank), stage, columns(m));
      for (const auto column : {&RankMemory::values, &RankMemory::gradients, &RankMemory::masters, &RankMemory::moments,
                                &RankMemory::activations})
        most.*column = std::max(most.*column, m.*column);
    }
    if (!plan.every_rank()) line(fmt::format("{}..{}", stage * size, (stage + 1) * size - 1), stage, columns(most));
  }
  out += fmt::format("all ranks together: {}\n", bytes_text(all));
}

void add_rank_tensors(const Plan& plan, int rank, std::string& out) {
  out += fmt::format("\nrank {} ({}): tensor, whole shape, this rank's part from and size, held alike by\n", rank,
                     place(parallel::coordinates(plan.layout, rank)));
  for (const auto& info : plan.memory.parameters(rank))
    out += fmt::format("  {:<58} {:<20} {:<16} {:<20} {:<6} {:>12} B{}\n", info.name, dims(info.global_shape),
                       dims(info.begin), dims(info.extent), parallel::name_of(info.replicas),
                       with_commas(info.numel() * static_cast<std::int64_t>(size_of(info.dtype))),
                       info.tied_copy ? " copy of the first stage's" : "");
}

/// "model.layers.7.mlp…" → the layer's number, and the name with {} in its place; -1 for others.
std::pair<int, std::string> split_layer(const std::string& name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return {-1, name};
  const auto dot = name.find('.', kPrefix.size());
  return {std::stoi(name.substr(kPrefix.size())), fmt::format("{}{{}}{}", kPrefix, name.substr(dot))};
}

/// Tensors of a stage, layers of one kind taken together: every rank's part follows from how a tensor is cut.
void add_stage_tensors(const Plan& plan, int stage, std::string& out) {
  const int first = stage * plan.layout.stage_size();
  out += fmt::format("\nstage {}, ranks {}..{}: tensor, whole shape, each rank's part\n", stage, first,
                     first + plan.layout.stage_size() - 1);
  struct Line {
    std::string pattern, rest;
    std::vector<int> layers;
  };
  std::vector<Line> lines;
  for (const auto& info : plan.memory.parameters(first)) {
    std::string cut = "whole on every rank";
    for (std::size_t a = 0; a < info.extent.size(); ++a)
      if (info.extent[a] != info.global_shape[a])
        cut = fmt::format("{} by {}: part i from {} · i of axis {}", dims(info.extent),
                          info.replicas == Group::edp ? "EP rank" : "TP rank", info.extent[a], a);
    const auto [layer, pattern] = split_layer(info.name);
    const std::string rest = fmt::format("{:<22} {} ({} B){}", dims(info.global_shape), cut,
                                         with_commas(info.numel() * static_cast<std::int64_t>(size_of(info.dtype))),
                                         info.tied_copy ? ", copy of the first stage's" : "");
    const auto same = std::find_if(lines.begin(), lines.end(),
                                   [&, p = pattern](const Line& l) { return l.pattern == p && l.rest == rest; });
    if (same == lines.end())
      lines.push_back({pattern, rest, {layer}});
    else
      same->layers.push_back(layer);
  }
  for (const auto& l : lines) {
    const std::string layers = l.layers.front() == l.layers.back()
                                   ? fmt::format("{}", l.layers.front())
                                   : fmt::format("{}-{}", l.layers.front(), l.layers.back());
    out += fmt::format("  {:<58} {}\n", l.layers.front() < 0 ? l.pattern : fmt::format(fmt::runtime(l.pattern), layers),
                       l.rest);
  }
}

ordered_json as_json(Plan& plan) {
  const auto& m = plan.choice.config;
  ordered_json j{{"model", plan.choice.name},
                 {"parameters", {{"main", count(m, false)}, {"trained", count(m, plan.choice.mtp)}}}};
  if (m.num_mtp_layers > 0) j["parameters"]["with_mtp_copies"] = count_with_copies(m);
  const auto& l = plan.layout;
  j["layout"] = {{"world", l.world}, {"tp", l.tp},   {"ep", l.ep},    {"pp", l.pp},
                 {"cp", l.cp},       {"dp", l.dp()}, {"edp", l.edp()}};
  for (const auto& range : plan.memory.stages().stages) j["stages"].push_back({range.first, range.last});
  for (int rank = 0; rank < l.world; ++rank) {
    const RankMemory r = plan.memory.of(rank);
    ordered_json one{{"rank", rank},         {"values", r.values},   {"gradients", r.gradients},
                     {"masters", r.masters}, {"moments", r.moments}, {"activations", r.activations}};
    if (plan.every_rank())
      for (const auto& info : plan.memory.parameters(rank))
        one["tensors"].push_back({{"name", info.name},
                                  {"shape", info.global_shape},
                                  {"begin", info.begin},
                                  {"extent", info.extent},
                                  {"replicas", parallel::name_of(info.replicas)}});
    j["ranks"].push_back(std::move(one));
  }
  return j;
}

/// What can be said of the data without reading tokens.
std::string check_data(const Config& config, const hf::ModelConfig& model) {
  std::string out;
  for (const auto& [text, split] : {std::pair{config.data.train, shard::Split::train},
                                    std::pair{config.data.validation, shard::Split::validation}}) {
    if (text.empty()) continue;
    for (const auto& source : shard::parse_sources(text)) {
      const auto manifest = shard::read_manifest(source.dir);
      if (manifest.vocab_size > static_cast<std::uint64_t>(model.vocab_size))
        fail_input("{}: its tokenizer has {} tokens, the model's vocabulary {}", source.dir.string(),
                   manifest.vocab_size, model.vocab_size);
      const auto counts = shard::counts_by_split(manifest.shards)[static_cast<std::size_t>(split)];
      if (counts.documents == 0)
        fail_input("{}: there are no documents in the {} split", source.dir.string(), shard::split_name(split));
      out += fmt::format("{:<12}{}: {} documents, {} tokens in the {} split\n", "data", source.dir.string(),
                         with_commas(static_cast<std::int64_t>(counts.documents)),
                         with_commas(static_cast<std::int64_t>(counts.tokens)), shard::split_name(split));
    }
  }
  return out;
}

}  // namespace

std::string check(const Config& given, int ranks) {
  Config config = given;
  if (config.train.dtype == "auto") config.train.dtype = config.run.device == "cuda" ? "bf16" : "float32";
  const int world = config.parallel.world > 0 ? config.parallel.world : ranks;
  Plan plan(config, choose_model(config.model, config.train.mtp), world);
  if (config.train.seq_len > plan.choice.config.max_position_embeddings)
    fail_input(
        "train.seq_len = {} is longer than the model's {} positions (max_position_embeddings); a shorter one fits",
        config.train.seq_len, plan.choice.config.max_position_embeddings);
  const std::string data = check_data(config, plan.choice.config);
  if (config.json) return as_json(plan).dump(1) + "\n";
  std::string out;
  add_head(plan, out);
  out += data;
  add_memory(plan, out);
  if (plan.every_rank())
    for (int rank = 0; rank < world; ++rank) add_rank_tensors(plan, rank, out);
  else
    for (int stage = 0; stage < plan.layout.pp; ++stage) add_stage_tensors(plan, stage, out);
  return out;
}

}  // namespace eddy::train
