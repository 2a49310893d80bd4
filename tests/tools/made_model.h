#pragma once
// A model folder made for a test, as DeepSeek publishes R1: FP8 matrices with their scales, BF16 for the rest, an MTP
// layer with its own embedding and head, several files and an index; a scale may stand in another file than its matrix.
#include "base/hash.h"
#include "base/rng.h"
#include "convert.h"
#include "hf/folder_writer.h"
#include "hf/fp8.h"

namespace eddy_test {

struct MadeShape {
  int layers = 3, dense = 1, experts = 8, groups = 4, files = 7, hidden = 160, width = 96;
};

inline nlohmann::ordered_json made_config(const MadeShape& s) {
  return {{"architectures", {"DeepseekV3ForCausalLM"}},
          {"model_type", "deepseek_v3"},
          {"vocab_size", 200},
          {"hidden_size", s.hidden},
          {"intermediate_size", 3 * s.width},
          {"moe_intermediate_size", s.width},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 2},
          {"n_shared_experts", 1},
          {"n_routed_experts", s.experts},
          {"routed_scaling_factor", 2.5},
          {"kv_lora_rank", 24},
          {"q_lora_rank", 32},
          {"qk_rope_head_dim", 8},
          {"v_head_dim", 16},
          {"qk_nope_head_dim", 16},
          {"topk_method", "noaux_tc"},
          {"scoring_func", "sigmoid"},
          {"n_group", s.groups},
          {"topk_group", s.groups / 2},
          {"num_experts_per_tok", 2},
          {"first_k_dense_replace", s.dense},
          {"moe_layer_freq", 1},
          {"norm_topk_prob", true},
          {"max_position_embeddings", 163840},
          {"num_nextn_predict_layers", 1},
          {"rms_norm_eps", 1e-06},
          {"rope_theta", 10000},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false},
          {"attention_bias", false},
          {"torch_dtype", "bfloat16"},
          {"rope_scaling", nullptr},
          {"quantization_config",
           {{"activation_scheme", "dynamic"},
            {"fmt", "e4m3"},
            {"quant_method", "fp8"},
            {"weight_block_size", {128, 128}}}}};
}

/// Nearly Gaussian (the sum of eight uniform bytes), spread 1, for element `i` of the tensor with this seed.
inline float made_value(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t bits = eddy::mix(seed, i);
  int sum = -1020;
  for (int k = 0; k < 8; ++k, bits >>= 8) sum += static_cast<int>(bits & 0xff);
  return static_cast<float>(sum) / 209.0f;
}

inline void fill_made(const eddy::hf::Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) {
  using eddy::Dtype;
  const bool copy = t.name.ends_with("embed_tokens.weight") || t.name.ends_with("head.weight");
  const std::string kind = t.name.ends_with("embed_tokens.weight") ? "embed" : "head";
  const std::uint64_t seed = eddy::xxh3(copy ? kind : t.name);  // MTP's copies hold what the model's do
  const std::int64_t cols = t.shape.size() < 2 ? 1 : t.shape[1];
  const bool norm = t.name.find("norm") != std::string::npos;
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    const auto at = static_cast<std::uint64_t>(first * cols + i);
    const float v = made_value(seed, at);
    if (t.dtype == Dtype::f8e4m3) {
      const std::int64_t r = first + i / cols, c = i % cols;
      const bool corner = r % 128 == 0 && c % 128 == 0;  // every block has its 448
      reinterpret_cast<std::uint8_t*>(out)[i] = eddy::hf::float_to_fp8(corner ? 448 : 110 * v);
    } else if (t.dtype == Dtype::f32) {
      const bool bias = t.name.ends_with("bias");
      const float value = bias ? 0.05f * v : 4e-4f * (1 + 0.1f * v);
      std::memcpy(out + 4 * i, &value, 4);
    } else {
      const std::uint16_t bits = eddy::float_to_bf16(norm ? 1 + 0.1f * v : 0.06f * v);
      std::memcpy(out + 2 * i, &bits, 2);
    }
  }
}

inline void make_model(const std::filesystem::path& folder, const MadeShape& shape = {}) {
  using namespace eddy;
  std::filesystem::create_directories(folder);
  const auto json = made_config(shape);
  write_file(folder / "config.json", json.dump(2) + "\n");
  const auto config = hf::parse_config(json, "made config");
  std::vector<hf::Declared> tensors;
  std::uint64_t total = 0;
  for (const auto& t : hf::expected_tensors(config, true, true)) {
    const bool fp8 = hf::is_quantised_in_fp8(t.name);
    tensors.push_back({t.name, t.always_f32 ? Dtype::f32 : fp8 ? Dtype::f8e4m3 : Dtype::bf16, t.shape});
    if (fp8) tensors.push_back({hf::scale_name(t.name), Dtype::f32, hf::fp8_scale_shape(t.shape)});
  }
  for (const auto& t : tensors) total += hf::bytes_of(t);
  std::vector<hf::FilePlan> files(static_cast<std::size_t>(shape.files));
  std::uint64_t before = 0;
  nlohmann::json index = {{"metadata", {{"total_size", total}}}};
  std::map<std::string, std::string> map;
  for (const auto& t : tensors) {
    const auto i = static_cast<std::size_t>(before * static_cast<std::uint64_t>(shape.files) / total);
    files[i].name = fmt::format("model-{:05}-of-{:06}.safetensors", i + 1, shape.files);
    files[i].tensors.push_back(t);
    map[t.name] = files[i].name;
    before += hf::bytes_of(t);
  }
  index["weight_map"] = map;
  for (auto& f : files) hf::sort_for_file(f.tensors);
  hf::FolderWriter writer(folder, {.threads = 2, .read_back_from_disk = false, .source = "made", .progress = {}});
  writer.write(files, fill_made);
  for (const auto& f : files) std::filesystem::remove(hf::note_path(folder, f.name));
  write_file(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

/// Applies `edit` to the tensors of the file that holds `name`, and writes it anew.
inline void edit_file(const std::filesystem::path& folder, const std::string& name,
                      const std::function<void(Tensors&)>& edit) {
  namespace fs = std::filesystem;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    Tensors held;
    {
      const eddy::hf::SafetensorsFile file(entry.path());
      if (!file.tensors().count(name)) continue;
      for (const auto& [key, t] : file.tensors())
        held[key] = {t.dtype, t.shape, std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size())};
    }
    edit(held);
    std::vector<eddy::hf::Declared> declared;
    for (const auto& [key, t] : held) declared.push_back({key, std::get<0>(t), std::get<1>(t)});
    eddy::hf::SafetensorsWriter writer(entry.path(), declared);
    for (const auto& [key, t] : held) writer.write(std::get<2>(t).data(), std::get<2>(t).size());
    writer.commit();
    return;
  }
  FAIL(name + " is in no file");
}

inline nlohmann::json json_file(const std::filesystem::path& path) {
  return eddy::parse_json<nlohmann::json>(read_file(path), path.string());
}

}  // namespace eddy_test
