#pragma once
// One safetensors file: an 8-byte little-endian header length, a JSON header, the tensors' bytes in row-major order.
// The checks are the format's own: header at most 100 MB, no repeated name, offsets that cover the data exactly,
// without gap or overlap, sizes that follow from shape and dtype.
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "io/file.h"

namespace eddy::hf {

/// One tensor as it stands in a file.
struct StoredTensor {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< mapped; valid while the file is open
  std::string file;                  ///< its file's path
  std::uint64_t offset = 0;          ///< where its bytes begin in that file
};

/// Elements [first, first + count) of an F32 or BF16 tensor as float32 (exact). Throws Error (status 2) naming file and
/// `name` for other dtypes.
void copy_as_f32(const StoredTensor& tensor, const std::string& name, std::int64_t first, std::int64_t count,
                 float* out);
/// "F32" for Dtype::f32 and so on.
const char* safetensors_name(Dtype dtype);
/// [2, 3] as "[2, 3]".
std::string shape_text(const std::vector<std::int64_t>& shape);
/// Elements; the shape's product.
std::int64_t count_of(const std::vector<std::int64_t>& shape);

class SafetensorsFile {
 public:
  /// Maps the file and checks its header. Throws Error (status 2) naming file and tensor.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  ///< __metadata__
  /// Throws Error (status 2) naming the file when there is no such tensor.
  const StoredTensor& at(const std::string& name) const;

 private:
  io::MappedFile file_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace eddy::hf
