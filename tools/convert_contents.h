#pragma once
// What a checkpoint, a Hugging Face folder or a single safetensors file holds, seen alike.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "checkpoint/checkpoint.h"
#include "hf/folder.h"

namespace eddy::convert {

struct Item {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::int64_t elements() const;
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(elements()) * size_of(dtype); }
};

/// Opened; the headers are checked. Throws Error (status 2) naming what is missing or damaged.
class Contents {
 public:
  enum class Names {
    own,
    hugging_face
  };  ///< a checkpoint's tensors by its own names, or its model as Hugging Face names it
  Contents(const std::filesystem::path& path, Names names);

  const std::string& kind() const { return kind_; }  ///< "checkpoint", "folder" or "file"
  const std::map<std::string, Item>& items() const { return items_; }
  const nlohmann::json& about() const { return about_; }  ///< a checkpoint's meta, a folder's config.json
  /// Rows [first, first + rows) (entries of the first dimension; a scalar is one row) of a tensor, as it is stored. May
  /// be called from several threads at once.
  void read(const std::string& name, std::int64_t first, std::int64_t rows, void* out) const {
    read_(name, first, rows, out);
  }

  /// A checkpoint's tensors (by its own names) that reading every item reads whole, their checksums compared.
  const std::set<std::string>& stored() const { return stored_; }

  bool has(const std::string& name) const { return items_.count(name) > 0; }
  /// The scales of an FP8 matrix, all of them, row-major.
  std::vector<float> scales(const std::string& matrix) const;
  /// The scales that a matrix in another dtype had when it was FP8; nothing where they were not kept. Only by Hugging
  /// Face's names.
  std::optional<std::vector<float>> kept_scales(const std::string& matrix) const {
    return kept_ ? kept_(matrix) : std::nullopt;
  }
  const hf::Folder* folder() const { return folder_.get(); }                 ///< null: something else
  const checkpoint::Checkpoint* checkpoint() const { return saved_.get(); }  ///< null: something else

  static bool is_checkpoint(const std::filesystem::path& path);

 private:
  void open_checkpoint(const std::filesystem::path& path, Names names);
  void open_folder(const std::filesystem::path& path);
  void open_kept(const std::filesystem::path& folder);  ///< its eddy.fp8-scales, if there
  void open_file(const std::filesystem::path& path);

  std::string kind_;
  std::map<std::string, Item> items_;
  std::set<std::string> stored_;
  nlohmann::json about_;
  std::shared_ptr<hf::Folder> folder_;
  std::shared_ptr<checkpoint::Checkpoint> saved_;
  std::function<std::optional<std::vector<float>>(const std::string&)> kept_;
  std::function<void(const std::string&, std::int64_t, std::int64_t, void*)> read_;
};

}  // namespace eddy::convert
