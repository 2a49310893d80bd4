
#include "base/error.h"
#include "base/options.h"
#include "base/units.h"
#include "checkpoint/agree.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "hf/safetensors_writer.h"
#include "io/file.h"
#include "io/folder.h"
#include "tensor/tensor.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

const char* torch_name(Dtype dtype) {
  return dtype == Dtype::bf16 ? "bfloat16" : "float32";
}

struct Export {
  const checkpoint::Checkpoint& from;
  SavedModel model;
  std::optional<Dtype> asked;

  Dtype stored(const hf::NamedShape& t) const {
    return from.entry("model/" + hf::placement(model.config, t).name).dtype;
  }
  std::vector<hf::Declared> declared() const {
    std::vector<hf::Declared> out;
    for (const auto& t : model.tensors())
      out.push_back({t.name, t.always_f32 ? Dtype::f32 : asked.value_or(stored(t)), t.shape});
    return out;
  }
  /// Writes one tensor's bytes, in pieces; tells how many.
  void write(const hf::NamedShape& t, Dtype dtype, hf::SafetensorsWriter& file,
             const std::function<void(std::uint64_t)>& told) const {
    const hf::Placement p = hf::placement(model.config, t);
    for (tensor::Slice& piece : pieces("model/" + p.name, stored(t), p.shape, p.begin, p.extent)) {
      const tensor::Tensor read(piece.view.shape, piece.view.dtype), out(piece.view.shape, dtype);
      piece.view = read.view();
      from.read(piece);
      cast(read.view().data, read.view().dtype, out.view().data, dtype, piece.view.numel());
      file.write(out.view().data, out.view().bytes());
      told(out.view().bytes());
    }
  }
};

/// A folder that an earlier export wrote, or an empty one.
bool looks_exported(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_directory(dir, ignored) && (fs::is_empty(dir, ignored) || fs::exists(dir / "config.json"));
}

void write_companions(const Export& e, const fs::path& dir, hf::Spelling spelling, Dtype dtype) {
  for (const fs::path& file : e.from.attachments()) io::write_file(dir / file.filename(), io::read_file(file));
  io::write_file(dir / "config.json", hf::write_config(e.model.config, spelling, torch_name(dtype)).dump(2) + "\n");
  if (fs::exists(dir / "generation_config.json")) return;
  const nlohmann::ordered_json generation = {{"_from_model_config", true},
                                             {"bos_token_id", e.model.config.bos_token_id},
                                             {"eos_token_id", e.model.config.eos_token_id}};
  io::write_file(dir / "generation_config.json", generation.dump(2) + "\n");
}

}  // namespace

int to_hf(comm::Session& session, const Arguments& arguments) {
  std::string in, out, dtype = "keep", shard_size = "5GB", spelling = "deepseek";
  bool overwrite = false;
  Options options(
      "eddy-convert to-hf", "--in CKPT --out DIR [options]",
      "Makes a Hugging Face model folder of an Eddy checkpoint: the model's weights, without the optimizer's state.");
  options.add("in", &in, "Eddy checkpoint", {.required = true});
  options.add("out", &out, "folder to write", {.required = true});
  options.add("dtype", &dtype, "of the weights: as they are, or converted (e_score_correction_bias stays f32)",
              {.choices = {"keep", "f32", "bf16"}});
  options.add("shard-size", &shard_size, "largest size of a safetensors file's data, e.g. 5GB");
  options.add("spelling", &spelling,
              "of config.json: rope_scaling and torch_dtype, or transformers' newer rope_parameters and dtype",
              {.choices = {"deepseek", "transformers"}});
  options.add("overwrite", &overwrite, "replace a folder that exists");
  if (!options.parse(arguments)) return 0;
  const std::uint64_t shard_bytes = parse_bytes(shard_size, "--shard-size");
  if (shard_bytes == 0)
    fail_input("--shard-size {}: a file needs at least one byte; write for example 5GB", shard_size);
  check_output(out, overwrite, looks_exported(out));

  const checkpoint::Checkpoint from(in);
  const Export e{from, saved_model(from), parse_choice(dtype)};
  const hf::ShardPlan plan = hf::plan_shards(e.declared(), shard_bytes);
  const fs::path final_name = out;
  const fs::path unfinished = final_name.string() + ".tmp";
  comm::Communicator& world = session.world();
  try {
    checkpoint::agree(world, [&] {
      if (world.rank() != 0) return;
      fs::remove_all(unfinished);
      fs::create_directory(unfinished);
    });
    checkpoint::agree(world, [&] {
      std::uint64_t total = 0, done = 0;
      for (std::size_t i = static_cast<std::size_t>(world.rank()); i < plan.shards.size();
           i += static_cast<std::size_t>(world.size()))
        for (const auto& t : plan.shards[i]) total += hf::bytes_of(t);
      log::Progress progress("exporting", total, "bytes");
      for (std::size_t i = static_cast<std::size_t>(world.rank()); i < plan.shards.size();
           i += static_cast<std::size_t>(world.size())) {
        hf::SafetensorsWriter file(unfinished / plan.file_name(i), plan.shards[i]);
        for (const auto& t : plan.shards[i])
          e.write({t.name, t.shape, false}, t.dtype, file, [&](std::uint64_t n) { progress.update(done += n); });
        file.commit();
      }
    });
    checkpoint::agree(world, [&] {
      if (world.rank() != 0) return;
      if (plan.shards.size() > 1) io::write_file(unfinished / "model.safetensors.index.json", plan.index());
      const Dtype main = e.asked.value_or(from.entry("model/model.embed_tokens.weight").dtype);
      write_companions(e, unfinished, spelling == "deepseek" ? hf::Spelling::deepseek : hf::Spelling::transformers,
                       main);
      io::sync_folder(unfinished);
      io::commit_folder(unfinished, final_name);
    });
  } catch (...) {  // all ranks have stopped
    std::error_code ignored;
    if (world.rank() == 0) fs::remove_all(unfinished, ignored);
    throw;
  }
  if (world.rank() == 0)
    log::info("{}: {} in {} files", out, bytes_text(static_cast<double>(plan.total_bytes)), plan.shards.size());
  return 0;
}

}  // namespace eddy::convert
