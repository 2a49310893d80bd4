#pragma once
// What a checkpoint, a Hugging Face folder or a single safetensors file holds, seen alike.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/dtype.h"

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
  /// Rows [first, first + rows) (entries of the first dimension; a scalar is one row) of a tensor, as it is stored.
  void read(const std::string& name, std::int64_t first, std::int64_t rows, void* out) const {
    read_(name, first, rows, out);
  }

  static bool is_checkpoint(const std::filesystem::path& path);

 private:
  void open_checkpoint(const std::filesystem::path& path, Names names);
  void open_folder(const std::filesystem::path& path);
  void open_file(const std::filesystem::path& path);

  std::string kind_;
  std::map<std::string, Item> items_;
  nlohmann::json about_;
  std::shared_ptr<void> owner_;  // what read_ reads from
  std::function<void(const std::string&, std::int64_t, std::int64_t, void*)> read_;
};

}  // namespace eddy::convert
