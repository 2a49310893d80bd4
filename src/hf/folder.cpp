#include "hf/folder.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "io/file.h"
#include "tensor/runs.h"

namespace eddy::hf {
namespace fs = std::filesystem;

struct Folder::Impl {
  fs::path dir;
  ModelConfig config;
  std::map<std::string, StoredTensor> tensors;
  std::vector<SafetensorsFile> files;  // keep the mappings alive
  mutable std::set<std::string> warned;

  std::string mtp_prefix() const { return "model.layers." + std::to_string(config.num_layers) + "."; }
  bool has_mtp() const {
    const auto it = tensors.lower_bound(mtp_prefix());
    return config.num_mtp_layers > 0 && it != tensors.end() && it->first.starts_with(mtp_prefix());
  }
  const StoredTensor& checked(const std::string& name, const std::vector<std::int64_t>& shape) const;
  Scales scales_of(const std::string& matrix) const;
  void check_dtype(const NamedShape& tensor) const;
  void open_indexed(const fs::path& index);
  void read_block(const std::string& name, const tensor::Slice& block) const;
  void compare_with_copy(const tensor::Slice& slice) const;
};

namespace {

/// A file's name as an index gives it: below the folder itself, so that no index leads elsewhere.
fs::path index_entry(const fs::path& index, const std::string& tensor, const nlohmann::json& value) {
  if (!value.is_string()) fail_input("{}: weight_map gives no file name for '{}'", index.string(), tensor);
  const auto name = value.get<std::string>();
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    fail_input("{}: weight_map sends '{}' to '{}'; a plain file name is needed", index.string(), tensor, name);
  return name;
}

tensor::Slice block_of(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& begin,
                       const std::vector<std::int64_t>& extent, float* data) {
  return {"", shape, begin, tensor::View(data, Dtype::f32, tensor::Shape(extent))};
}

}  // namespace

void Folder::Impl::open_indexed(const fs::path& index) {
  const auto json = parse_json<nlohmann::json>(io::read_file(index), index.string());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty())
    fail_input("{}: has no weight_map from tensors to files", index.string());
  std::map<std::string, fs::path> map;
  std::set<fs::path> names;
  for (const auto& [tensor, value] : json["weight_map"].items()) {
    map[tensor] = index_entry(index, tensor, value);
    names.insert(map[tensor]);
  }
  for (const fs::path& name : names) {
    const SafetensorsFile& file = files.emplace_back(dir / name);
    for (const auto& [tensor, stored] : file.tensors()) {
      const auto it = map.find(tensor);
      if (it == map.end())
        fail_input("{}: tensor '{}' is not in the weight_map of {}", file.path().string(), tensor,
                   index.filename().string());
      if (it->second != name)
        fail_input("{}: tensor '{}' stands in {}, but the index says {}", index.string(), tensor, name.string(),
                   it->second.string());
      tensors.emplace(tensor, stored);
    }
  }
  for (const auto& [tensor, name] : map)
    if (!tensors.count(tensor))
      fail_input("{}: tensor '{}' is missing, which {} puts there", (dir / name).string(), tensor,
                 index.filename().string());
}

const StoredTensor& Folder::Impl::checked(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const auto it = tensors.find(name);
  if (it == tensors.end()) fail_input("{}: tensor '{}' is missing", dir.string(), name);
  if (it->second.shape != shape)
    fail_input("{}: tensor '{}' has shape {}, config.json asks for {}", it->second.file, name,
               shape_text(it->second.shape), shape_text(shape));
  return it->second;
}

Scales Folder::Impl::scales_of(const std::string& matrix) const {
  const std::string name = scale_name(matrix);
  const StoredTensor& weight = tensors.at(matrix);
  const auto it = tensors.find(name);
  if (it == tensors.end())
    fail_input("{}: tensor '{}' is FP8, but its scales '{}' are missing; without them its values are unknown",
               weight.file, matrix, name);
  return read_scales(it->second, name, weight.shape);
}

void Folder::Impl::check_dtype(const NamedShape& t) const {
  const StoredTensor& stored = tensors.at(t.name);
  if (t.always_f32 && stored.dtype == Dtype::f8e4m3)
    fail_input("{}: tensor '{}' is FP8; F32 is needed", stored.file, t.name);
  if (stored.dtype == Dtype::f8e4m3)
    scales_of(t.name);
  else if (stored.dtype != Dtype::f32 && stored.dtype != Dtype::bf16)
    fail_input("{}: tensor '{}' is {}; weights in F32, BF16 or F8_E4M3 are needed", stored.file, t.name,
               safetensors_name(stored.dtype));
}

void Folder::Impl::read_block(const std::string& name, const tensor::Slice& b) const {
  const StoredTensor& stored = checked(name, b.global_shape);
  if (stored.dtype == Dtype::f8e4m3) {
    const Scales scales = scales_of(name);
    const auto* q = reinterpret_cast<const std::uint8_t*>(stored.bytes.data());
    tensor::for_each_run(b.global_shape, b.begin, b.view.shape.vector(),
                         [&](std::int64_t global, std::int64_t local, std::int64_t count) {
                           dequantise(q + global, scales.values.data(), stored.shape[1], global, count,
                                      b.view.f32() + local);
                         });
    return;
  }
  tensor::for_each_run(b.global_shape, b.begin, b.view.shape.vector(),
                       [&](std::int64_t global, std::int64_t local, std::int64_t count) {
                         copy_as_f32(stored, name, global, count, b.view.f32() + local);
                       });
}

void Folder::Impl::compare_with_copy(const tensor::Slice& slice) const {
  const auto copy = has_mtp() ? mtp_copy_of(config, slice.name) : std::nullopt;
  if (!copy || !tensors.count(*copy) || warned.count(*copy)) return;
  const StoredTensor& stored = checked(*copy, slice.global_shape);
  std::vector<float> buffer;
  tensor::for_each_run(
      slice.global_shape, slice.begin, slice.view.shape.vector(),
      [&](std::int64_t global, std::int64_t local, std::int64_t count) {
        constexpr std::int64_t kPiece = 1 << 16;
        for (std::int64_t i = 0; i < count; i += kPiece) {
          const std::int64_t n = std::min(kPiece, count - i);
          buffer.resize(static_cast<std::size_t>(n));
          copy_as_f32(stored, *copy, global + i, n, buffer.data());
          if (std::memcmp(buffer.data(), slice.view.f32() + local + i, static_cast<std::size_t>(n) * 4) != 0 &&
              warned.insert(*copy).second)
            log::warning(
                "{}: tensor '{}' differs from '{}'; Eddy shares one between the main model and the "
                "multi-token-prediction "
                "layer, and uses the main model's",
                stored.file, *copy, slice.name);
        }
      });
}

Folder::Folder(const fs::path& dir) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  m.dir = dir;
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored))
    fail_input("{}: is no folder; a Hugging Face model folder (config.json, *.safetensors) is needed", dir.string());
  m.config = read_config(dir);
  const fs::path single = dir / "model.safetensors", index = dir / "model.safetensors.index.json";
  if (fs::exists(single)) {
    m.tensors = m.files.emplace_back(single).tensors();
  } else if (fs::exists(index)) {
    m.open_indexed(index);
  } else {
    fail_input("{}: holds neither model.safetensors nor model.safetensors.index.json", dir.string());
  }
  if (const std::string where = (dir / "config.json").string(); has_fp8())
    if (const auto q = quantization_in(nlohmann::ordered_json::parse(m.config.original), where))
      check_quantization(*q, where);
  if (m.config.num_mtp_layers > 0 && !has_mtp())
    log::info(
        "{}: config.json announces a multi-token-prediction layer, but its tensors ({}*) are not in the files; going "
        "on without it",
        dir.string(), m.mtp_prefix());
}

Folder::~Folder() = default;
Folder::Folder(Folder&&) noexcept = default;
Folder& Folder::operator=(Folder&&) noexcept = default;

const fs::path& Folder::path() const {
  return impl_->dir;
}
const ModelConfig& Folder::config() const {
  return impl_->config;
}
const std::map<std::string, StoredTensor>& Folder::tensors() const {
  return impl_->tensors;
}
bool Folder::has_mtp() const {
  return impl_->has_mtp();
}
bool Folder::has_mtp_copies() const {
  return has_mtp() && (impl_->tensors.count(impl_->mtp_prefix() + "embed_tokens.weight") ||
                       impl_->tensors.count(impl_->mtp_prefix() + "shared_head.head.weight"));
}

bool Folder::has_fp8() const {
  for (const auto& [name, t] : impl_->tensors)
    if (t.dtype == Dtype::f8e4m3) return true;
  return false;
}
Scales Folder::scales(const std::string& matrix) const {
  return impl_->scales_of(matrix);
}

void Folder::read(const tensor::Slice& slice) const {
  const std::string gate_up = ".mlp.experts.gate_up_proj", down = ".mlp.experts.down_proj";
  if (!slice.view.contiguous()) fail_run("tensor '{}': a contiguous block is needed", slice.name);
  if (!slice.name.ends_with(gate_up) && !slice.name.ends_with(down)) {
    impl_->read_block(slice.name, slice);
    return impl_->compare_with_copy(slice);
  }
  const auto& shape = slice.global_shape;  // [experts, rows, cols]
  if (shape.size() != 3 || slice.begin.size() != 3 || slice.view.shape.rank() != 3)
    fail_run("tensor '{}': experts have three dimensions", slice.name);
  const std::string stack = slice.name.substr(0, slice.name.rfind('.') + 1);
  const std::int64_t first = slice.begin[1], last = first + slice.view.shape[1], cols = slice.view.shape[2];
  float* out = slice.view.f32();
  for (std::int64_t e = slice.begin[0]; e < slice.begin[0] + slice.view.shape[0]; ++e) {
    const std::string expert = stack + std::to_string(e) + ".";
    const auto part = [&](const char* kind, std::int64_t offset,
                          std::int64_t rows) {  // rows [offset, offset + rows) of the stack
      const std::int64_t from = std::max(first, offset), to = std::min(last, offset + rows);
      if (from >= to) return;
      impl_->read_block(expert + kind + ".weight",
                        block_of({rows, shape[2]}, {from - offset, slice.begin[2]}, {to - from, cols}, out));
      out += (to - from) * cols;
    };
    if (slice.name.ends_with(down)) {
      part("down_proj", 0, shape[1]);
    } else {
      part("gate_proj", 0, shape[1] / 2);
      part("up_proj", shape[1] / 2, shape[1] / 2);
    }
  }
}

std::vector<std::string> Folder::check_names() const {
  std::set<std::string> unexpected;
  for (const auto& [name, tensor] : impl_->tensors) unexpected.insert(name);
  std::vector<std::string> missing;
  for (const NamedShape& t : expected_tensors(impl_->config, has_mtp(), false)) {
    if (!impl_->tensors.count(t.name))
      missing.push_back(t.name);
    else
      impl_->checked(t.name, t.shape);
    unexpected.erase(t.name);
    if (!impl_->tensors.count(t.name)) continue;
    impl_->check_dtype(t);
    if (impl_->tensors.at(t.name).dtype == Dtype::f8e4m3) unexpected.erase(scale_name(t.name));
  }
  if (!missing.empty())
    fail_input("{}: {} tensors are missing that config.json asks for, the first: '{}'", path().string(), missing.size(),
               missing.front());
  if (has_mtp())
    for (const char* main : {"model.embed_tokens.weight", "lm_head.weight"}) {
      const std::string copy = *mtp_copy_of(impl_->config, main);
      if (!unexpected.erase(copy)) continue;
      impl_->checked(copy, {impl_->config.vocab_size, impl_->config.hidden_size});
      const StoredTensor& stored = impl_->tensors.at(copy);
      if (stored.dtype != Dtype::f32 && stored.dtype != Dtype::bf16)
        fail_input("{}: tensor '{}' is {}; F32 or BF16 is needed", stored.file, copy, safetensors_name(stored.dtype));
    }
  for (const std::string& name : unexpected)
    if (const std::string matrix = weight_of_scale(name); impl_->tensors.count(matrix))
      fail_input("{}: tensor '{}' are FP8 scales, but '{}' is {}; take the weight or its scales from where they belong",
                 impl_->tensors.at(name).file, name, matrix, safetensors_name(impl_->tensors.at(matrix).dtype));
  return {unexpected.begin(), unexpected.end()};
}

}  // namespace eddy::hf
