#pragma once
// What the commands of eddy-convert share.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/options.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/source_scales.h"
#include "hf/config.h"
#include "hf/names.h"
#include "hf/scales.h"
#include "tensor/slice.h"

namespace eddy::convert {

constexpr std::uint64_t kPieceBytes = 64 << 20;  ///< tensors larger than this pass through memory in pieces

// Groups of a checkpoint beside "model": what conversion keeps and training does not read.
using checkpoint::kKeptScales;
inline const std::string kMtpCopies = "mtp_copies/";  ///< MTP's embedding and head where they differ from the model's

/// "keep" is nothing; "fp8" is f8e4m3.
std::optional<Dtype> parse_choice(const std::string& dtype);

/// --threads, --read-back (cache, disk) and --overwrite of the commands that write folders.
void add_writing_options(Options& options, int& threads, std::string& read_back, bool& overwrite);

/// Tokenizer, templates, generation configuration, model card of a Hugging Face folder: what is carried along unread.
std::vector<std::filesystem::path> companions(const std::filesystem::path& dir);

/// Cuts a block into pieces along its longest leading dimension, each of at most kPieceBytes where rows are not longer.
/// The pieces' views have no data.
std::vector<tensor::Slice> pieces(const std::string& name, Dtype dtype, const std::vector<std::int64_t>& shape,
                                  const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& extent);

/// The block that holds rows [first, first + rows) of a tensor placed at `p`;
/// `axis` is the rows' dimension there (an expert's own number stands in front).
tensor::Slice rows_of(const hf::Placement& p, std::size_t axis, Dtype dtype, std::int64_t first, std::int64_t rows,
                      void* out);

enum class Output { folder, checkpoint };
/// A file in the OUT.tmp of cast and to-hf while it is under construction: what is removed there is ours.
constexpr const char* kUnfinishedMark = "eddy-unfinished";
/// Refuses an output that stands in the way: what exists is replaced only with --overwrite, and only when it is of the
/// kind that would be written; never what is, holds or lies in the input; nor is `out`.tmp taken, where the output
/// grows, when something else than a broken run's remains has that name. Takes slashes off its end. Collective.
void check_output(comm::Communicator& world, const std::string& in, std::string& out, bool overwrite, Output kind);

/// The configuration of the model in a checkpoint, and whether it has the multi-token-prediction layer (and its
/// copies).
struct SavedModel {
  hf::ModelConfig config;
  bool has_mtp = false, mtp_copies = false;
  std::vector<hf::NamedShape> tensors() const { return hf::expected_tensors(config, has_mtp, mtp_copies); }
};
SavedModel saved_model(const checkpoint::Checkpoint& checkpoint);

/// A folder's quantization_config: config.json's, that of the scales kept beside it, or what DeepSeek publishes. Throws
/// Error (status 2) naming the file for one that is not of that kind.
nlohmann::ordered_json quantization_of(const nlohmann::ordered_json& config, const std::optional<hf::KeptScales>& kept,
                                       const std::filesystem::path& folder);
/// scale_fmt ue8m0.
bool powers_of_two(const nlohmann::ordered_json& quantization);

/// Elements of f32 or bf16 as the other one; equal dtypes are copied.
void cast(const void* from, Dtype from_dtype, void* to, Dtype to_dtype, std::int64_t count);

}  // namespace eddy::convert
