#include "hf/scales.h"

#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "hf/safetensors_writer.h"

namespace eddy::hf {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {
constexpr const char* kFormat = "eddy fp8 scales 1";

std::string hash_of(const std::map<std::string, Scales>& scales) {
  Xxh3Stream hash;
  for (const auto& [name, s] : scales) {
    hash.update(name.data(), name.size());
    hash.update(s.values.data(), s.values.size() * sizeof(float));
  }
  return hex64(hash.digest());
}
}  // namespace

Json published_quantization() {
  return {{"activation_scheme", "dynamic"},
          {"fmt", "e4m3"},
          {"quant_method", "fp8"},
          {"weight_block_size", {kFp8Block, kFp8Block}}};
}

std::optional<Json> quantization_in(const Json& json, const std::string& where) {
  const auto it = json.find("quantization_config");
  if (it == json.end() || it->is_null()) return {};
  if (!it->is_object())
    fail_input("{}: quantization_config is {}; an object or null is needed", where, it->dump().substr(0, 100));
  return *it;
}

void check_quantization(const Json& config, const std::string& where) {
  const auto is = [&](const char* key, const char* value) {
    const auto it = config.find(key);
    return it == config.end() || it->is_null() || *it == value;
  };
  if (!is("quant_method", "fp8") || !is("fmt", "e4m3"))
    fail_input("{}: quantization_config is {}; Eddy reads quant_method fp8, fmt e4m3", where, config.dump());
  if (!is("scale_fmt", "ue8m0") && !is("scale_fmt", "float"))
    fail_input("{}: quantization_config has scale_fmt {}; Eddy knows ue8m0 and float", where,
               config.at("scale_fmt").dump());
  const auto block = config.find("weight_block_size");
  if (block == config.end() || *block != Json{kFp8Block, kFp8Block})
    fail_input("{}: quantization_config needs weight_block_size [128, 128]", where);
}

Scales read_scales(const StoredTensor& stored, const std::string& name, const std::vector<std::int64_t>& matrix) {
  if (stored.dtype != Dtype::f32)
    fail_input("{}: tensor '{}' is {}; the scales of FP8 weights are F32", stored.file, name,
               safetensors_name(stored.dtype));
  if (matrix.size() != 2)
    fail_input("{}: tensor '{}' of shape {} is FP8; only matrices can be", stored.file, weight_of_scale(name),
               shape_text(matrix));
  Scales s{fp8_scale_shape(matrix), {}};
  if (stored.shape != s.shape)
    fail_input("{}: tensor '{}' has shape {}; the scales of a matrix {} in blocks of 128 x 128 have {}", stored.file,
               name, shape_text(stored.shape), shape_text(matrix), shape_text(s.shape));
  s.values.resize(static_cast<std::size_t>(count_of(s.shape)));
  if (!s.values.empty()) std::memcpy(s.values.data(), stored.bytes.data(), stored.bytes.size());
  for (std::size_t i = 0; i < s.values.size(); ++i)
    if (s.values[i] != 0 && !is_usable_scale(s.values[i]))
      fail_input("{}: tensor '{}': the scale of block [{}, {}] is {}; the file is damaged, or holds something else",
                 stored.file, name, i / static_cast<std::size_t>(s.shape[1]), i % static_cast<std::size_t>(s.shape[1]),
                 s.values[i]);
  return s;
}

void write_kept_scales(const fs::path& dir, const KeptScales& kept) {
  std::vector<Declared> tensors;
  for (const auto& [name, s] : kept.scales) tensors.push_back({name, Dtype::f32, s.shape});
  SafetensorsWriter file(dir / kScalesFile, tensors,
                         {{"format", kFormat},
                          {"xxh3", hash_of(kept.scales)},
                          {"files", nlohmann::json(kept.files).dump()},
                          {"quantization_config", kept.quantization.dump()}});
  for (const auto& [name, s] : kept.scales) file.write(s.values.data(), s.values.size() * sizeof(float));
  file.commit();
}

std::optional<KeptScales> read_kept_scales(const fs::path& dir) {
  const fs::path path = dir / kScalesFile;
  if (!fs::exists(path)) return {};
  const SafetensorsFile file(path);
  const auto said = [&](const char* key) {
    const auto it = file.metadata().find(key);
    return it == file.metadata().end() ? std::string() : it->second;
  };
  if (said("format") != kFormat)
    fail_input("{}: is not of the kind '{}'; remove it, or convert the folder anew", path.string(), kFormat);
  KeptScales kept;
  for (const auto& [name, t] : file.tensors()) {
    if (t.dtype != Dtype::f32 || t.shape.size() != 2)
      fail_input("{}: tensor '{}' must be an F32 matrix", path.string(), name);
    Scales s{t.shape, std::vector<float>(t.bytes.size() / sizeof(float))};
    if (!t.bytes.empty()) std::memcpy(s.values.data(), t.bytes.data(), t.bytes.size());
    kept.scales[name] = std::move(s);
  }
  if (hash_of(kept.scales) != said("xxh3"))
    fail_input("{}: is damaged (it does not have its checksum); remove it to do without the original scales",
               path.string());
  const auto files = parse_json<nlohmann::json>(said("files"), path.string() + ": files");
  for (const auto& [name, value] : files.items())
    if (value.is_string()) kept.files[name] = value.get<std::string>();
  kept.quantization = parse_json<Json>(said("quantization_config"), path.string() + ": quantization_config");
  if (!kept.quantization.is_object()) kept.quantization = published_quantization();
  return kept;
}

}  // namespace eddy::hf
