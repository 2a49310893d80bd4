#include "checkpoint/source_scales.h"

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "hf/folder.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

std::optional<hf::KeptScales> of_folder(const fs::path& path) {
  const hf::Folder folder(path);
  if (!folder.has_fp8()) return hf::read_kept_scales(path);
  hf::KeptScales kept;
  for (const auto& [name, t] : folder.tensors()) {
    if (t.dtype != Dtype::f8e4m3) continue;
    const std::string scale = hf::scale_name(name);
    kept.scales[scale] = folder.scales(name);
    const fs::path file = folder.tensors().at(scale).file;
    if (file != fs::path(t.file)) kept.files[scale] = file.filename();
  }
  const Json config = Json::parse(folder.config().original);
  kept.quantization =
      hf::quantization_in(config, (path / "config.json").string()).value_or(hf::published_quantization());
  return kept;
}

std::optional<hf::KeptScales> of_checkpoint(const fs::path& path) {
  if (auto attached = hf::read_kept_scales(path / "hf")) return attached;
  const Checkpoint from(path);
  const auto& meta = from.meta();
  const auto config = hf::parse_config(Json::parse(meta.at("config").dump()), path.string());
  hf::KeptScales kept;
  for (const auto& t : hf::expected_tensors(config, meta.value("has_mtp", false), meta.value("mtp_copies", false))) {
    if (t.shape.size() != 2) continue;
    hf::Placement p = hf::scale_placement(config, t);
    const std::string matrix = "model/" + hf::placement(config, t).name;
    p.name = (from.has(matrix) && from.entry(matrix).dtype == Dtype::f8e4m3 ? "model/" : kKeptScales) + p.name;
    if (!from.has(p.name)) continue;
    hf::Scales s{hf::fp8_scale_shape(t.shape), std::vector<float>(static_cast<std::size_t>(hf::count_of(p.extent)))};
    from.read({p.name, p.shape, p.begin, tensor::View(s.values.data(), Dtype::f32, tensor::Shape(p.extent))});
    kept.scales[hf::scale_name(t.name)] = std::move(s);
  }
  if (kept.scales.empty()) return {};
  kept.files = meta.value("scale_files", std::map<std::string, std::string>());
  kept.quantization = meta.contains("quantization_config") ? Json::parse(meta.at("quantization_config").dump())
                                                           : hf::published_quantization();
  return kept;
}

}  // namespace

std::optional<hf::KeptScales> scales_of(const fs::path& model) {
  return is_checkpoint(model) ? of_checkpoint(model) : of_folder(model);
}

}  // namespace eddy::checkpoint
