#pragma once
// A Hugging Face model folder: config.json and safetensors files (one, or several with an index), memory-mapped.
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hf/config.h"
#include "tensor/slice.h"

namespace eddy::hf {

/// One tensor as it stands in a file.
struct StoredTensor {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< mapped; valid while the folder is open
  std::string file;                  ///< its file's name, for messages
};

class Folder {
 public:
  /// Checks every header: size, JSON, offsets in range and without overlap, dtypes, index and files agree.
  /// Throws Error (status 2) naming file and tensor.
  explicit Folder(const std::filesystem::path& dir);
  ~Folder();
  Folder(Folder&&) noexcept;
  Folder& operator=(Folder&&) noexcept;

  const std::filesystem::path& path() const;
  const ModelConfig& config() const;
  const std::map<std::string, StoredTensor>& tensors() const;
  bool has_mtp() const;  ///< the MTP layer's tensors are there (config.json may announce what the files lack)
  /// Fills a block of a float32 tensor given by Eddy's name (experts stacked: …experts.gate_up_proj, …experts.down_proj) from
  /// F32 or BF16 tensors. Throws naming the tensor when it is missing or has another shape.
  void read(const tensor::Slice& slice) const;
  /// Checks that every tensor the configuration asks for is there with its shape (MTP only when has_mtp()), and names
  /// unexpected ones; throws Error (status 2) for missing ones, returns the unexpected.
  std::vector<std::string> check_names() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A tensor of the model by Hugging Face's name, in file order.
struct NamedShape {
  std::string name;
  std::vector<std::int64_t> shape;
  bool always_f32 = false;  ///< e_score_correction_bias
};
/// All of a model's tensors by Hugging Face's names; with_mtp adds layer num_layers; mtp_copies its own embed_tokens and
/// shared_head.head.
std::vector<NamedShape> expected_tensors(const ModelConfig& config, bool with_mtp, bool mtp_copies);

}  // namespace eddy::hf
