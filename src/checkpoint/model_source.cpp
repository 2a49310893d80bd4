#include "checkpoint/model_source.h"

#include <optional>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/dequantise.h"
#include "hf/folder.h"

namespace eddy::checkpoint {
namespace fs = std::filesystem;

struct ModelSource::Impl {
  fs::path path;
  std::optional<hf::Folder> folder;
  std::optional<Checkpoint> checkpoint;
  hf::ModelConfig config;
  bool mtp = false;
};

ModelSource::ModelSource(const fs::path& path) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.path = path;
  if (!fs::is_directory(path))
    fail_input("{}: no such folder; a model is a Hugging Face folder or an Eddy checkpoint", path.string());
  if (is_checkpoint(path)) {
    m.checkpoint.emplace(path);
    const auto& meta = m.checkpoint->meta();
    if (!meta.contains("config")) fail_input("{}: the checkpoint holds no model configuration", path.string());
    m.config = hf::parse_config(nlohmann::ordered_json::parse(meta.at("config").dump()), path.string());
    m.mtp = meta.value("has_mtp", false);
  } else {
    m.folder.emplace(path);
    m.folder->check_names();
    m.config = m.folder->config();
    m.mtp = m.folder->has_mtp();
  }
}
ModelSource::~ModelSource() = default;
ModelSource::ModelSource(ModelSource&&) noexcept = default;
ModelSource& ModelSource::operator=(ModelSource&&) noexcept = default;

const hf::ModelConfig& ModelSource::config() const {
  return impl_->config;
}
bool ModelSource::has_mtp() const {
  return impl_->mtp;
}

void ModelSource::fill(const parallel::Parameter& parameter) const {
  tensor::Slice slice = parameter.slice();
  if (impl_->folder) return impl_->folder->read(slice);
  slice.name = "model/" + slice.name;
  if (impl_->checkpoint->entry(slice.name).dtype == Dtype::f8e4m3) return read_dequantised(*impl_->checkpoint, slice);
  impl_->checkpoint->read(slice);
}
void ModelSource::fill(const parallel::ParameterStore& store) const {
  for (const auto& p : store.all()) fill(p);
}

fs::path ModelSource::tokenizer() const {
  for (const fs::path& candidate : {impl_->path / "tokenizer.json", impl_->path / "hf" / "tokenizer.json"})
    if (fs::exists(candidate)) return candidate;
  return {};
}

}  // namespace eddy::checkpoint
