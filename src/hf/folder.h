#pragma once
// A Hugging Face model folder: config.json and safetensors files (one, or several with an index), memory-mapped.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hf/config.h"
#include "hf/names.h"
#include "hf/safetensors.h"
#include "hf/scales.h"
#include "tensor/slice.h"

namespace eddy::hf {

class Folder {
 public:
  /// Checks every header: size, JSON, offsets in range and without overlap, dtypes, index and files agree.
  /// Throws Error (status 2) naming file and tensor. Says so when config.json announces a multi-token-prediction layer
  /// whose tensors are absent.
  explicit Folder(const std::filesystem::path& dir);
  ~Folder();
  Folder(Folder&&) noexcept;
  Folder& operator=(Folder&&) noexcept;

  const std::filesystem::path& path() const;
  const ModelConfig& config() const;
  const std::map<std::string, StoredTensor>& tensors() const;
  bool has_mtp() const;         ///< the MTP layer's tensors are there (config.json may announce what the files lack)
  bool has_mtp_copies() const;  ///< the MTP layer brings embedding and head of its own
  bool has_fp8() const;         ///< some of the model's matrices are FP8
  /// The scales of an FP8 matrix, by the matrix's name; throws naming them when they are missing or not its own.
  Scales scales(const std::string& matrix) const;
  /// Fills a block of a float32 tensor given by Eddy's name (experts stacked: …experts.gate_up_proj,
  /// …experts.down_proj) from F32, BF16 or FP8 tensors; FP8 becomes the BF16 values that DeepSeek's script makes of it.
  /// Reads no more than the block (and its matrices' scales). Throws naming the tensor when it is missing or has
  /// another shape. Where the MTP layer's copy of embedding or head differs from the block read, warns that the main
  /// model's is used.
  void read(const tensor::Slice& slice) const;
  /// Checks that every tensor the configuration asks for is there with its shape (MTP only when has_mtp()), and names
  /// unexpected ones; throws Error (status 2) for missing ones (scales of FP8 matrices are tensors like others) and
  /// for dtypes that weights cannot have, returns the unexpected.
  std::vector<std::string> check_names() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::hf
