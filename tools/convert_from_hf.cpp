#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "hf/folder.h"
#include "io/file.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

/// Which dtype each of Eddy's tensors is stored in: as asked, or as in the files; where the experts that are stacked
/// differ, f32.
std::map<std::string, Dtype> stored_dtypes(const hf::Folder& folder, const std::vector<hf::NamedShape>& tensors,
                                           std::optional<Dtype> asked) {
  std::map<std::string, Dtype> out;
  for (const auto& t : tensors) {
    const hf::StoredTensor& in = folder.tensors().at(t.name);
    if (in.dtype == Dtype::f8e4m3)
      fail_input("{}: tensor '{}' is FP8; this program reads F32 and BF16: convert the folder to BF16 first", in.file,
                 t.name);
    if (in.dtype != Dtype::f32 && in.dtype != Dtype::bf16)
      fail_input("{}: tensor '{}' is {}; weights in F32 or BF16 are needed", in.file, t.name,
                 hf::safetensors_name(in.dtype));
    const Dtype wanted = t.always_f32 ? Dtype::f32 : asked.value_or(in.dtype);
    const auto [it, is_new] = out.try_emplace(hf::placement(folder.config(), t).name, wanted);
    if (!is_new && it->second != wanted) it->second = Dtype::f32;
  }
  return out;
}

/// Every tensor of the folder as blocks of Eddy's: those that need no conversion point into the mapped files, the
/// others are made when their turn comes.
class Blocks {
 public:
  Blocks(const hf::Folder& folder, std::optional<Dtype> asked, int rank, int ranks) : folder_(folder) {
    const auto tensors = hf::expected_tensors(folder.config(), folder.has_mtp(), false);
    const auto dtypes = stored_dtypes(folder, tensors, asked);
    std::size_t turn = 0;
    for (const auto& t : tensors) {
      const hf::Placement p = hf::placement(folder.config(), t);
      const hf::StoredTensor& in = folder.tensors().at(t.name);
      std::int64_t first = 0;
      for (tensor::Slice& piece : pieces("model/" + p.name, dtypes.at(p.name), p.shape, p.begin, p.extent)) {
        const std::byte* data = in.bytes.data() + static_cast<std::size_t>(first) * size_of(in.dtype);
        first += piece.view.numel();
        if (static_cast<int>(turn++ % static_cast<std::size_t>(ranks)) != rank) continue;
        if (in.dtype == piece.view.dtype) piece.view.data = const_cast<std::byte*>(data);  // only read
        bytes_ += piece.view.bytes();
        slices_.push_back(std::move(piece));
        sources_.push_back({data, in.dtype});
      }
    }
  }
  const std::vector<tensor::Slice>& slices() const { return slices_; }
  std::uint64_t bytes() const { return bytes_; }
  void fill(std::size_t i, void* buffer) const {
    cast(sources_[i].data, sources_[i].dtype, buffer, slices_[i].view.dtype, slices_[i].view.numel());
  }

 private:
  struct Source {
    const std::byte* data;
    Dtype dtype;
  };
  const hf::Folder& folder_;
  std::vector<tensor::Slice> slices_;
  std::vector<Source> sources_;
  std::uint64_t bytes_ = 0;
};

/// Tokenizer, templates, generation configuration, model card: what is carried along unread.
std::vector<fs::path> companions(const fs::path& dir) {
  static const std::set<std::string> kKinds{".json", ".txt", ".jinja", ".model", ".md"};
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    const bool known = kKinds.count(entry.path().extension().string()) || name.starts_with("LICENSE");
    if (!known || !entry.is_regular_file() || name == "config.json" || name.ends_with(".safetensors.index.json"))
      continue;
    out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Eddy shares embedding and head with the multi-token-prediction layer: says so when the folder's copies are others.
void compare_copies(const hf::Folder& folder) {
  for (const std::string main : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const auto copy = folder.tensors().find(*hf::mtp_copy_of(folder.config(), main));
    if (!folder.has_mtp() || copy == folder.tensors().end()) continue;
    const hf::StoredTensor &a = folder.tensors().at(main), &b = copy->second;
    if (a.dtype != b.dtype || std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) != 0)
      log::warning(
          "{}: tensor '{}' differs from '{}'; Eddy shares one between the main model and the multi-token-prediction "
          "layer, and "
          "keeps the main model's",
          b.file, copy->first, main);
  }
}

}  // namespace

int from_hf(comm::Session& session, const Arguments& arguments) {
  std::string in, out, dtype = "keep";
  bool overwrite = false;
  Options options("eddy-convert from-hf", "--in DIR --out CKPT [options]",
                  "Makes an Eddy checkpoint of a Hugging Face model folder.");
  options.add("in", &in, "folder with config.json and safetensors files", {.required = true});
  options.add("out", &out, "checkpoint to write", {.required = true});
  options.add("dtype", &dtype, "of the weights: as they are, or converted (e_score_correction_bias stays f32)",
              {.choices = {"keep", "f32", "bf16"}});
  options.add("overwrite", &overwrite, "replace a checkpoint that exists");
  if (!options.parse(arguments)) return 0;
  check_output(out, overwrite, checkpoint::is_checkpoint(out));

  const hf::Folder folder(in);
  const auto unexpected = folder.check_names();
  const Blocks blocks(folder, parse_choice(dtype), session.rank(), session.size());
  if (!unexpected.empty() && session.rank() == 0)
    log::warning("{}: {} tensors are no part of the model that config.json describes and are left out, the first: '{}'",
                 in, unexpected.size(), unexpected.front());
  if (session.rank() == 0) compare_copies(folder);
  const fs::path tokenizer = fs::path(in) / "tokenizer.json";
  const nlohmann::json meta = {{"config", nlohmann::json::parse(folder.config().original)},
                               {"has_mtp", folder.has_mtp()},
                               {"mtp_copies", folder.has_mtp_copies()},
                               {"step", 0},
                               {"tokenizer_hash", fs::exists(tokenizer) ? hex64(xxh3(io::read_file(tokenizer))) : ""},
                               {"layout", "converted from a Hugging Face folder"}};
  checkpoint::SaveOptions how;
  how.attachments = companions(in);
  how.fill = [&](std::size_t i, void* buffer) { blocks.fill(i, buffer); };
  {
    log::Progress progress("converting", blocks.bytes(), "bytes");
    how.progress = [&](std::uint64_t bytes) { progress.update(bytes); };
    checkpoint::save(session.world(), out, meta, blocks.slices(), how);
  }
  if (session.rank() == 0) {
    const checkpoint::Checkpoint written(out);
    log::info("{}: {} tensors{}", out, written.tensors().size(),
              folder.has_mtp() ? ", multi-token-prediction layer included" : "");
  }
  return 0;
}

}  // namespace eddy::convert
