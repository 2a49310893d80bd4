#include "convert_contents.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "convert_common.h"
#include "io/file.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

/// Files of safetensors tensors, read by offset: mapped pages would count as memory, and are slow to come on parallel
/// file systems. Any number of threads.
class TensorReader {
 public:
  void read(const hf::StoredTensor& t, std::int64_t first, std::int64_t rows, void* out) const {
    const std::size_t row =
        t.shape.empty() || t.shape[0] == 0 ? t.bytes.size() : t.bytes.size() / static_cast<std::size_t>(t.shape[0]);
    std::uint64_t left = static_cast<std::uint64_t>(rows) * row,
                  at = t.offset + static_cast<std::uint64_t>(first) * row;
    char* to = static_cast<char*>(out);
    const int file = descriptor(t.file);
    while (left > 0) {
      const ssize_t n = ::pread(file, to, left, static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail_input("cannot read {}: {}", t.file, n == 0 ? "it was cut off" : std::strerror(errno));
      to += n;
      at += static_cast<std::uint64_t>(n);
      left -= static_cast<std::uint64_t>(n);
    }
  }

 private:
  int descriptor(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    io::Descriptor& file = files_[path];
    if (file.get() < 0) file = io::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) fail_input("cannot read {}: {}", path, std::strerror(errno));
    return file.get();
  }
  mutable std::mutex mutex_;
  mutable std::map<std::string, io::Descriptor> files_;
};

/// An opened checkpoint serves one thread at a time: each gets one of its own.
class CheckpointPool {
 public:
  explicit CheckpointPool(fs::path path) : path_(std::move(path)) {}
  void read(const tensor::Slice& slice) const {
    std::unique_ptr<checkpoint::Checkpoint> one;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        one = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!one) one = std::make_unique<checkpoint::Checkpoint>(path_);
    one->read(slice);
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(one));
  }

 private:
  fs::path path_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<checkpoint::Checkpoint>> free_;
};

}  // namespace

std::int64_t Item::elements() const {
  return hf::count_of(shape);
}

bool Contents::is_checkpoint(const fs::path& path) {
  return checkpoint::is_checkpoint(path);
}

Contents::Contents(const fs::path& path, Names names) {
  if (path.empty()) fail_input("the path is empty; name a checkpoint, a folder or a safetensors file");
  std::error_code ignored;
  if (is_checkpoint(path))
    open_checkpoint(path, names);
  else if (fs::is_directory(path, ignored))
    open_folder(path);
  else
    open_file(path);
}

std::vector<float> Contents::scales(const std::string& matrix) const {
  const std::string name = hf::scale_name(matrix);
  const auto it = items_.find(name);
  if (it == items_.end()) fail_input("tensor '{}' is FP8, but its scales '{}' are missing", matrix, name);
  const std::vector<std::int64_t> shape = hf::fp8_scale_shape(items_.at(matrix).shape);
  if (it->second.dtype != Dtype::f32 || it->second.shape != shape)
    fail_input("tensor '{}' must be F32 of shape {}", name, hf::shape_text(shape));
  std::vector<float> out(static_cast<std::size_t>(it->second.elements()));
  if (!out.empty()) read(name, 0, shape[0], out.data());
  return out;
}

void Contents::open_checkpoint(const fs::path& path, Names names) {
  kind_ = "checkpoint";
  saved_ = std::make_shared<checkpoint::Checkpoint>(path);
  about_ = saved_->meta();
  struct Place {
    hf::Placement block;
    std::size_t axis;  // the rows' dimension: an expert's own stands in front
    Dtype dtype;
  };
  std::map<std::string, Place> places;
  const auto pool = std::make_shared<CheckpointPool>(path);
  if (names == Names::own) {
    for (const auto& t : saved_->tensors()) {
      items_[t.name] = {t.dtype, t.shape};
      stored_.insert(t.name);
      places[t.name] = {{t.name, t.shape, std::vector<std::int64_t>(t.shape.size(), 0), t.shape}, 0, t.dtype};
    }
  } else {
    const SavedModel model = saved_model(*saved_);
    const auto place = [&](const std::string& name, const std::vector<std::int64_t>& shape, hf::Placement p) {
      const Dtype dtype = saved_->entry(p.name).dtype;
      items_[name] = {dtype, shape};
      const std::size_t axis = p.shape.size() - shape.size();
      stored_.insert(p.name);  // a stack's experts together are all of it
      places[name] = {std::move(p), axis, dtype};
    };
    std::map<std::string, hf::Placement> kept;
    for (const auto& t : model.tensors()) {
      hf::Placement p = hf::placement(model.config, t);
      p.name = saved_->has(kMtpCopies + t.name) ? kMtpCopies + t.name : "model/" + p.name;
      place(t.name, t.shape, std::move(p));
      if (t.shape.size() != 2) continue;
      hf::Placement scales = hf::scale_placement(model.config, t);
      if (items_.at(t.name).dtype == Dtype::f8e4m3) {
        scales.name = "model/" + scales.name;
        place(hf::scale_name(t.name), hf::fp8_scale_shape(t.shape), std::move(scales));
      } else if (saved_->has(kKeptScales + scales.name)) {
        scales.name = kKeptScales + scales.name;
        kept[t.name] = std::move(scales);
      }
    }
    kept_ = [pool, kept](const std::string& matrix) -> std::optional<std::vector<float>> {
      const auto it = kept.find(matrix);
      if (it == kept.end()) return {};
      const hf::Placement& p = it->second;
      std::vector<float> out(static_cast<std::size_t>(hf::count_of(p.extent)));
      const std::size_t axis = p.shape.size() - 2;
      pool->read(rows_of(p, axis, Dtype::f32, 0, p.extent[axis], out.data()));
      return out;
    };
    if (kept.empty()) open_kept(path / "hf");  // a training run's, of the model that it began with
  }
  read_ = [pool, places](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    const Place& p = places.at(name);
    pool->read(rows_of(p.block, p.axis, p.dtype, first, rows, out));
  };
}

void Contents::open_folder(const fs::path& path) {
  kind_ = "folder";
  folder_ = std::make_shared<hf::Folder>(path);
  about_ = nlohmann::json::parse(folder_->config().original);
  for (const auto& [name, t] : folder_->tensors()) items_[name] = {t.dtype, t.shape};
  const auto reader = std::make_shared<TensorReader>();
  read_ = [reader, folder = folder_](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    reader->read(folder->tensors().at(name), first, rows, out);
  };
  open_kept(path);
}

void Contents::open_kept(const fs::path& folder) {
  if (const auto kept = hf::read_kept_scales(folder))
    kept_ = [scales = kept->scales](const std::string& matrix) -> std::optional<std::vector<float>> {
      const auto it = scales.find(hf::scale_name(matrix));
      if (it == scales.end()) return {};
      return it->second.values;
    };
}

void Contents::open_file(const fs::path& path) {
  kind_ = "file";
  const auto file = std::make_shared<hf::SafetensorsFile>(path);
  about_ = file->metadata();
  for (const auto& [name, t] : file->tensors()) items_[name] = {t.dtype, t.shape};
  const auto reader = std::make_shared<TensorReader>();
  read_ = [reader, file](const std::string& name, std::int64_t first, std::int64_t rows, void* out) {
    reader->read(file->at(name), first, rows, out);
  };
}

}  // namespace eddy::convert
