#include "convert_contents.h"

#include <cstring>

#include "base/error.h"
#include "convert_common.h"
#include "hf/folder.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

/// Copies rows of a mapped tensor.
void copy_rows(const hf::StoredTensor& t, std::int64_t first, std::int64_t rows, void* out) {
  const std::size_t row =
      t.shape.empty() || t.shape[0] == 0 ? t.bytes.size() : t.bytes.size() / static_cast<std::size_t>(t.shape[0]);
  std::memcpy(out, t.bytes.data() + static_cast<std::size_t>(first) * row, static_cast<std::size_t>(rows) * row);
}

/// The block that holds rows [first, first + rows) of a tensor placed at `p`; `axis` is the rows' dimension there.
tensor::Slice rows_of(const hf::Placement& p, std::size_t axis, Dtype dtype, std::int64_t first, std::int64_t rows,
                      void* out) {
  tensor::Slice s{p.name, p.shape, p.begin, {}};
  std::vector<std::int64_t> extent = p.extent;
  if (!extent.empty()) {
    s.begin[axis] += first;
    extent[axis] = rows;
  }
  s.view = tensor::View(out, dtype, tensor::Shape(extent));
  return s;
}

}  // namespace

std::int64_t Item::elements() const {
  return hf::count_of(shape);
}

bool Contents::is_checkpoint(const fs::path& path) {
  return checkpoint::is_checkpoint(path);
}

Contents::Contents(const fs::path& path, Names names) {
  std::error_code ignored;
  if (is_checkpoint(path))
    open_checkpoint(path, names);
  else if (fs::is_directory(path, ignored))
    open_folder(path);
  else
    open_file(path);
}

void Contents::open_checkpoint(const fs::path& path, Names names) {
  kind_ = "checkpoint";
  const auto saved = std::make_shared<checkpoint::Checkpoint>(path);
  owner_ = saved;
  about_ = saved->meta();
  struct Place {
    hf::Placement block;
    std::size_t axis;  // the rows' dimension: an expert's own stands in front
  };
  std::map<std::string, Place> places;
  if (names == Names::own) {
    for (const auto& t : saved->tensors()) {
      items_[t.name] = {t.dtype, t.shape};
      places[t.name] = {{t.name, t.shape, std::vector<std::int64_t>(t.shape.size(), 0), t.shape}, 0};
    }
  } else {
    const SavedModel model = saved_model(*saved);
    for (const auto& t : model.tensors()) {
      hf::Placement place = hf::placement(model.config, t);
      place.name = "model/" + place.name;
      items_[t.name] = {saved->entry(place.name).dtype, t.shape};
      const std::size_t axis = place.shape.size() - t.shape.size();
      places[t.name] = {std::move(place), axis};
    }
  }
  read_ = [saved, places](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    const Place& p = places.at(name);
    saved->read(rows_of(p.block, p.axis, saved->entry(p.block.name).dtype, first, rows, out));
  };
}

void Contents::open_folder(const fs::path& path) {
  kind_ = "folder";
  const auto folder = std::make_shared<hf::Folder>(path);
  owner_ = folder;
  about_ = nlohmann::json::parse(folder->config().original);
  for (const auto& [name, t] : folder->tensors()) items_[name] = {t.dtype, t.shape};
  read_ = [folder](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    copy_rows(folder->tensors().at(name), first, rows, out);
  };
}

void Contents::open_file(const fs::path& path) {
  kind_ = "file";
  const auto file = std::make_shared<hf::SafetensorsFile>(path);
  owner_ = file;
  about_ = file->metadata();
  for (const auto& [name, t] : file->tensors()) items_[name] = {t.dtype, t.shape};
  read_ = [file](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    copy_rows(file->at(name), first, rows, out);
  };
}

}  // namespace eddy::convert
