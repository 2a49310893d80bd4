#include "convert_common.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "checkpoint/agree.h"
#include "checkpoint/manifest.h"
#include "io/folder.h"

namespace eddy::convert {
namespace fs = std::filesystem;

std::optional<Dtype> parse_choice(const std::string& dtype) {
  if (dtype == "keep") return {};
  if (dtype == "fp8") return Dtype::f8e4m3;
  return parse_dtype(dtype, "dtype");
}

void add_writing_options(Options& options, int& threads, std::string& read_back, bool& overwrite) {
  options.add("threads", &threads, "of each rank; each makes files of its own (0: as many as the rank may use cores)",
              {.min = 0, .max = 4096});
  options.add("read-back", &read_back,
              "what is written is read back and compared: through the system's cache, or from the disk (slower; shows "
              "faults of the storage too)",
              {.choices = {"cache", "disk"}});
  options.add("overwrite", &overwrite, "replace a folder that exists");
}

std::vector<fs::path> companions(const fs::path& dir) {
  static const std::set<std::string> kKinds{".json", ".txt", ".jinja", ".model", ".md"};
  static const std::set<std::string> kNotThese{"config.json", "model.safetensors.index.json", "eddy-files.json"};
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    const bool known = kKinds.count(entry.path().extension().string()) || name.starts_with("LICENSE");
    if (!known || !entry.is_regular_file() || kNotThese.count(name) || name.ends_with(".safetensors.index.json"))
      continue;
    out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<tensor::Slice> pieces(const std::string& name, Dtype dtype, const std::vector<std::int64_t>& shape,
                                  const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& extent) {
  std::size_t axis = 0;  // the first that has more than one entry: an expert's block has one in front
  while (axis + 1 < extent.size() && extent[axis] == 1) ++axis;
  std::uint64_t row = size_of(dtype);
  for (std::size_t d = axis + 1; d < extent.size(); ++d) row *= static_cast<std::uint64_t>(extent[d]);
  const std::int64_t rows = extent.empty() ? 1 : extent[axis];
  const auto most =
      static_cast<std::int64_t>(std::max<std::uint64_t>(1, kPieceBytes / std::max<std::uint64_t>(1, row)));
  std::vector<tensor::Slice> out;
  for (std::int64_t r = 0; r < rows; r += most) {
    std::vector<std::int64_t> first = begin, size = extent;
    if (!extent.empty()) {
      first[axis] += r;
      size[axis] = std::min(most, rows - r);
    }
    out.push_back({name, shape, first, tensor::View(nullptr, dtype, tensor::Shape(size))});
  }
  return out;
}

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

namespace {

/// Is what has the name `<out>.tmp` what a broken run of this kind leaves?
bool is_left_over(const fs::path& unfinished, Output kind) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(unfinished, error))) return false;
  if (kind == Output::folder && fs::exists(unfinished / kUnfinishedMark, error)) return true;
  for (fs::directory_iterator it(unfinished, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    // a whole checkpoint has a manifest, and is somebody's
    const bool known = kind == Output::checkpoint &&
                       (name == checkpoint::kAttachmentFolder || (name.starts_with("data") && name.ends_with(".h5")));
    if (!known) return false;
  }
  return !error;
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path out = fs::weakly_canonical(path, error);
  if (error) fail_input("{}: cannot be looked up: {}", path.string(), error.message());
  return out;
}

/// Does such an output stand there, or is the place free?
bool is_of_kind(const fs::path& out, Output kind) {
  std::error_code ignored;
  if (kind == Output::checkpoint) return checkpoint::is_checkpoint(out);
  return fs::is_directory(out, ignored) && (fs::is_empty(out, ignored) || fs::exists(out / "config.json", ignored));
}

}  // namespace

void check_output(comm::Communicator& world, const std::string& in, std::string& given, bool overwrite, Output kind) {
  if (given.empty()) fail_input("--out is empty; name what is to be written");
  while (given.size() > 1 && given.ends_with('/')) given.pop_back();
  const fs::path out = given;
  // one rank looks, before any of them writes
  checkpoint::agree(world, [&] {
    if (world.rank() != 0) return;
    std::error_code ignored;
    const fs::path to = real_path(out), from = real_path(in);
    if (io::is_within(to, from) || io::is_within(from, to))
      fail_input("--out {} and --in {} lie within each other; choose another --out", out.string(), in);
    const fs::path unfinished = given + ".tmp";
    if (const auto status = fs::symlink_status(unfinished, ignored);
        fs::exists(status) && !is_left_over(unfinished, kind))
      fail_input(
          "{} stands where the output grows, and is not what a broken run leaves; move or remove it, or choose another "
          "--out",
          unfinished.string());
    if (!fs::exists(fs::symlink_status(out, ignored))) {
      const fs::path parent = out.has_parent_path() ? out.parent_path() : fs::path(".");
      if (!fs::is_directory(parent, ignored))
        fail_input("{}: the folder to write into does not exist; make it first", parent.string());
      return;
    }
    if (!overwrite) fail_input("{} exists; choose another --out, or give --overwrite to replace it", out.string());
    if (!is_of_kind(out, kind))
      fail_input("{} exists and is not of the kind that would be written; remove it yourself if it may go",
                 out.string());
  });
}

SavedModel saved_model(const checkpoint::Checkpoint& checkpoint) {
  const auto& meta = checkpoint.meta();
  if (!meta.is_object() || !meta.contains("config"))
    fail_input("{}: holds no model configuration; it was not written by eddy-train or eddy-convert",
               checkpoint.path().string());
  SavedModel model;
  model.config = hf::parse_config(nlohmann::ordered_json(meta.at("config")),
                                  (checkpoint.path() / "manifest.json").string() + ": config");
  model.has_mtp = meta.value("has_mtp", false);
  model.mtp_copies = model.has_mtp && meta.value("mtp_copies", false);
  if (model.has_mtp) model.config.num_mtp_layers = 1;
  return model;
}

nlohmann::ordered_json quantization_of(const nlohmann::ordered_json& config, const std::optional<hf::KeptScales>& kept,
                                       const fs::path& folder) {
  const std::string where = (folder / "config.json").string();
  const auto said = hf::quantization_in(config, where);
  if (said) hf::check_quantization(*said, where);
  return said ? *said : kept ? kept->quantization : hf::published_quantization();
}

bool powers_of_two(const nlohmann::ordered_json& quantization) {
  const auto it = quantization.find("scale_fmt");
  return it != quantization.end() && *it == "ue8m0";
}

void cast(const void* from, Dtype from_dtype, void* to, Dtype to_dtype, std::int64_t count) {
  const auto n = static_cast<std::size_t>(count);
  if (from_dtype == to_dtype) {
    std::memcpy(to, from, n * size_of(to_dtype));
  } else if (to_dtype == Dtype::f32 && from_dtype == Dtype::bf16) {
    const auto* in = static_cast<const char*>(from);  // a mapped file's data may begin at an odd address
    auto* out = static_cast<float*>(to);
    for (std::size_t i = 0; i < n; ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, in + 2 * i, 2);
      out[i] = bf16_to_float(bits);
    }
  } else if (to_dtype == Dtype::bf16 && from_dtype == Dtype::f32) {
    const auto* in = static_cast<const char*>(from);
    auto* out = static_cast<std::uint16_t*>(to);
    for (std::size_t i = 0; i < n; ++i) {
      float value;
      std::memcpy(&value, in + 4 * i, 4);
      out[i] = float_to_bf16(value);
    }
  } else {
    fail_input("cannot convert {} to {}", name_of(from_dtype), name_of(to_dtype));
  }
}

}  // namespace eddy::convert
