#pragma once
// The FP8 scales of a model, by the names of their tensors (….weight_scale_inv), and the file in which a BF16 folder
// made from FP8 keeps them: `eddy.fp8-scales`, a safetensors file under a name that no loader looks for. With it,
// blocks whose values did not change are given back byte for byte (docs/conversion.md).
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "hf/fp8.h"
#include "hf/safetensors.h"

namespace eddy::hf {

constexpr const char* kScalesFile = "eddy.fp8-scales";

struct Scales {
  std::vector<std::int64_t> shape;  ///< [blocks of rows, blocks of columns]
  std::vector<float> values;
  bool operator==(const Scales&) const = default;
};

/// What DeepSeek's config.json says of FP8.
nlohmann::ordered_json published_quantization();
/// The quantization_config in a config.json or in a checkpoint's meta; nothing where there is none, or null. Throws
/// Error (status 2) naming `where` when it is no object.
std::optional<nlohmann::ordered_json> quantization_in(const nlohmann::ordered_json& json, const std::string& where);
/// Throws Error (status 2) naming `where` for a quantization_config of another kind than e4m3 in blocks of 128 x 128.
void check_quantization(const nlohmann::ordered_json& config, const std::string& where);

/// The scales of an FP8 matrix as they stand in a file; throws Error (status 2) naming file and tensor for another
/// dtype than F32 or another shape, or a scale that is no positive number (zero is let pass: a block of zeros).
Scales read_scales(const StoredTensor& stored, const std::string& name, const std::vector<std::int64_t>& matrix);

struct KeptScales {
  std::map<std::string, Scales> scales;      ///< by the scale's name
  std::map<std::string, std::string> files;  ///< in which file a scale stood, where that is not its weight's
  nlohmann::ordered_json quantization;       ///< the quantization_config that went with them
};
void write_kept_scales(const std::filesystem::path& dir, const KeptScales& kept);
/// Nothing where the folder has none; throws Error (status 2) naming the file when it was altered.
std::optional<KeptScales> read_kept_scales(const std::filesystem::path& dir);

}  // namespace eddy::hf
