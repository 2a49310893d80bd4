#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/options.h"
#include "base/units.h"
#include "checkpoint/agree.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_recast.h"
#include "hf/fp8.h"
#include "hf/scales.h"
#include "io/file.h"
#include "tensor/tensor.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

/// Which dtype each of Eddy's tensors is stored in: as asked, or as in the files; where the experts that are stacked
/// differ, bf16, or f32 where that is among them.
std::map<std::string, Dtype> stored_dtypes(const hf::Folder& folder, const std::vector<hf::NamedShape>& tensors,
                                           const Recast& recast) {
  std::map<std::string, Dtype> out;
  for (const auto& t : tensors) {
    const Dtype wanted = recast.dtype_of(t.name);
    const auto [it, is_new] = out.try_emplace(hf::placement(folder.config(), t).name, wanted);
    if (is_new || it->second == wanted) continue;
    const bool f32 = it->second == Dtype::f32 || wanted == Dtype::f32;
    it->second = f32 ? Dtype::f32 : Dtype::bf16;
  }
  return out;
}

/// Every tensor of the folder as blocks of Eddy's, made when their turn comes. A matrix and its scales are one rank's.
class Blocks {
 public:
  Blocks(const Contents& in, Recast& recast, const std::vector<std::string>& mtp_copies, int rank, int ranks)
      : config_(in.folder()->config()), recast_(recast) {
    const auto tensors = hf::expected_tensors(config_, in.folder()->has_mtp(), false);
    const auto dtypes = stored_dtypes(*in.folder(), tensors, recast);
    const auto complete = complete_scales(tensors, dtypes);
    std::vector<std::uint64_t> load(static_cast<std::size_t>(ranks));
    for (const auto& t : tensors) {
      hf::Placement p = hf::placement(config_, t);
      const Dtype dtype = dtypes.at(p.name);
      const auto least = std::min_element(load.begin(), load.end());
      *least += static_cast<std::uint64_t>(hf::count_of(t.shape)) * size_of(dtype);
      if (least - load.begin() != rank) continue;
      p.name = "model/" + p.name;
      add(p, {t.name, dtype, t.shape});
      if (t.shape.size() != 2) continue;
      hf::Placement scales = hf::scale_placement(config_, t);
      const hf::Declared declared{hf::scale_name(t.name), Dtype::f32, hf::fp8_scale_shape(t.shape)};
      if (dtype == Dtype::f8e4m3) {
        scales.name = "model/" + scales.name;
        add(scales, declared);
      } else if (complete.count(scales.name)) {
        scales.name = kKeptScales + scales.name;
        add(scales, declared, true);
      }
    }
    for (const std::string& name : mtp_copies) {
      const Item& item = in.items().at(name);
      if (rank == 0)
        add({kMtpCopies + name, item.shape, std::vector<std::int64_t>(item.shape.size(), 0), item.shape},
            {name, recast.dtype_of(name), item.shape});
    }
  }
  const std::vector<tensor::Slice>& slices() const { return slices_; }
  std::uint64_t bytes() const { return bytes_; }
  void fill(std::size_t i, void* buffer) const {
    const Source& s = sources_[i];
    if (s.kept) {
      const auto scales = *recast_.scales_to_keep(hf::weight_of_scale(s.tensor.name));
      std::memcpy(buffer, scales.data(), scales.size() * sizeof(float));
    } else {
      recast_.rows(s.tensor, s.first, s.rows, static_cast<std::byte*>(buffer));
    }
  }

 private:
  struct Source {
    hf::Declared tensor;
    std::int64_t first, rows;
    bool kept;
  };
  /// Eddy's scale tensors that can be kept whole: each of a stack's matrices was FP8.
  std::set<std::string> complete_scales(const std::vector<hf::NamedShape>& tensors,
                                        const std::map<std::string, Dtype>& dtypes) const {
    std::map<std::string, std::int64_t> elements;
    std::set<std::string> complete;
    for (const auto& t : tensors) {
      if (t.shape.size() != 2 || dtypes.at(hf::placement(config_, t).name) == Dtype::f8e4m3) continue;
      if (!recast_.has_scales_to_keep(t.name)) continue;
      const hf::Placement p = hf::scale_placement(config_, t);
      if ((elements[p.name] += hf::count_of(p.extent)) == hf::count_of(p.shape)) complete.insert(p.name);
    }
    return complete;
  }
  void add(const hf::Placement& p, const hf::Declared& t, bool kept = false) {
    const std::size_t axis = p.shape.size() - t.shape.size();
    const std::int64_t rows = t.shape.empty() ? 1 : t.shape[0];
    const std::uint64_t row = rows ? hf::bytes_of(t) / static_cast<std::uint64_t>(rows) : 1;
    const auto blocks = static_cast<std::int64_t>(kPieceBytes / std::max<std::uint64_t>(1, row * hf::kFp8Block));
    const std::int64_t most = std::max<std::int64_t>(1, blocks) * hf::kFp8Block;
    for (std::int64_t r = 0; r < rows; r += most) {
      const std::int64_t n = std::min(most, rows - r);
      slices_.push_back(rows_of(p, axis, t.dtype, r, n, nullptr));
      bytes_ += slices_.back().view.bytes();
      sources_.push_back({t, r, n, kept});
    }
  }
  hf::ModelConfig config_;
  Recast& recast_;
  std::vector<tensor::Slice> slices_;
  std::vector<Source> sources_;
  std::uint64_t bytes_ = 0;
};

/// Eddy shares embedding and head with the multi-token-prediction layer: which of the folder's copies are others.
std::vector<std::string> different_copies(const hf::Folder& folder) {
  std::vector<std::string> out;
  for (const std::string main : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const auto copy = folder.tensors().find(*hf::mtp_copy_of(folder.config(), main));
    if (!folder.has_mtp() || copy == folder.tensors().end()) continue;
    const hf::StoredTensor &a = folder.tensors().at(main), &b = copy->second;
    if (a.dtype == b.dtype && std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0) continue;
    log::warning(
        "{}: tensor '{}' differs from '{}'; Eddy shares one between the main model and the multi-token-prediction "
        "layer "
        "when it trains, the main model's; the other is kept for to-hf",
        b.file, copy->first, main);
    out.push_back(copy->first);
  }
  return out;
}

/// Each rank reads what it wrote; a checkpoint compares what it reads with the checksums taken in memory.
void read_back(comm::Communicator& world, const std::string& path, const std::vector<tensor::Slice>& slices) {
  checkpoint::agree(world, [&] {
    const checkpoint::Checkpoint written(path);
    for (tensor::Slice s : slices) {
      const tensor::Tensor scratch(s.view.shape, s.view.dtype);
      s.view = scratch.view();
      written.read(s);
    }
  });
}

}  // namespace

int from_hf(comm::Session& session, const Arguments& arguments) {
  std::string in, out, dtype = "keep";
  bool overwrite = false;
  Options options("eddy-convert from-hf", "--in DIR --out CKPT [options]",
                  "Makes an Eddy checkpoint of a Hugging Face model folder.");
  options.add("in", &in, "folder with config.json and safetensors files", {.required = true});
  options.add("out", &out, "checkpoint to write", {.required = true});
  options.add("dtype", &dtype,
              "of the weights: as they are, or converted (fp8: the matrices that DeepSeek quantises, the rest bf16; "
              "e_score_correction_bias stays f32)",
              {.choices = {"keep", "f32", "bf16", "fp8"}});
  options.add("overwrite", &overwrite, "replace a checkpoint that exists");
  if (!options.parse(arguments)) return 0;
  check_output(session.world(), in, out, overwrite, Output::checkpoint);

  const Contents from(in, Contents::Names::own);
  if (!from.folder()) fail_input("{}: is a {}; from-hf takes a Hugging Face folder", in, from.kind());
  const hf::Folder& folder = *from.folder();
  const auto unexpected = folder.check_names();
  if (!unexpected.empty() && session.rank() == 0)
    log::warning("{}: {} tensors are no part of the model that config.json describes and are left out, the first: '{}'",
                 in, unexpected.size(), unexpected.front());
  const auto kept = hf::read_kept_scales(in);
  nlohmann::json config = nlohmann::json::parse(folder.config().original);
  const nlohmann::json quantization = quantization_of(config, kept, in);
  Recast recast(from, parse_choice(dtype), powers_of_two(quantization));
  std::string copies;
  checkpoint::agree(session.world(), [&] {
    if (session.rank() == 0) copies = nlohmann::json(different_copies(folder)).dump();
  });
  checkpoint::broadcast_bytes(session.world(), copies, 0);
  const Blocks blocks(from, recast, nlohmann::json::parse(copies).get<std::vector<std::string>>(), session.rank(),
                      session.size());
  const fs::path tokenizer = fs::path(in) / "tokenizer.json";
  const nlohmann::json meta = {{"config", config},
                               {"quantization_config", quantization},
                               {"scale_files", kept ? nlohmann::json(kept->files) : nlohmann::json::object()},
                               {"has_mtp", folder.has_mtp()},
                               {"mtp_copies", folder.has_mtp_copies()},
                               {"step", 0},
                               {"tokenizer_hash", fs::exists(tokenizer) ? hex64(xxh3(io::read_file(tokenizer))) : ""},
                               {"layout", "converted from a Hugging Face folder"}};
  checkpoint::SaveOptions how;
  how.attachments = companions(in);
  // the files that the tensors came in, so that to-hf can make the same
  if (const fs::path index = fs::path(in) / "model.safetensors.index.json"; fs::exists(index))
    how.attachments.push_back(index);
  how.fill = [&](std::size_t i, void* buffer) { blocks.fill(i, buffer); };
  {
    log::Progress progress("converting", blocks.bytes(), "bytes");
    how.progress = [&](std::uint64_t bytes) { progress.update(bytes); };
    checkpoint::save(session.world(), out, meta, blocks.slices(), how);
  }
  read_back(session.world(), out, blocks.slices());
  if (session.rank() == 0) {
    const checkpoint::Checkpoint written(out);
    log::info("{}: {} tensors{}", out, written.tensors().size(),
              folder.has_mtp() ? ", multi-token-prediction layer included" : "");
  }
  return 0;
}

}  // namespace eddy::convert
