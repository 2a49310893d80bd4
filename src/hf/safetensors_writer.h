#pragma once
// Writing safetensors: a file's tensors are declared first, then their bytes follow in that order, so that nothing need
// be held in memory.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "io/file.h"

namespace eddy::hf {

struct Declared {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
};

class SafetensorsWriter {
 public:
  /// Writes the header to `<path>.partial`. Throws Error (status 1) when the file cannot be written.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<Declared>& tensors,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
  /// The next bytes, of one tensor after the other, in any pieces.
  void write(const void* data, std::size_t bytes);
  /// Syncs and gives the file its name. Throws when fewer or more bytes came than were declared.
  void commit();

 private:
  io::AtomicFile file_;
  std::string name_;
  std::uint64_t expected_;
};

/// A file's first bytes: the header's length, and the header, padded so that the data begin at a multiple of 8 bytes.
/// The data follow in the order given. transformers refuses files whose metadata does not say "format": "pt".
std::string safetensors_header(const std::vector<Declared>& tensors,
                               const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
/// The order in which the reference implementation writes: elements of more bytes first, so that all lie aligned; then
/// by name.
void sort_for_file(std::vector<Declared>& tensors);

/// Which tensors go into which of a folder's files.
struct ShardPlan {
  std::vector<std::vector<Declared>> shards;
  std::uint64_t total_bytes = 0;
  std::string file_name(std::size_t shard) const;  ///< model.safetensors, or model-00001-of-00004.safetensors
  std::string index() const;                       ///< model.safetensors.index.json's content
};
/// Fills shards in the order given up to `shard_bytes` of data each; a larger tensor has a shard to itself.
ShardPlan plan_shards(const std::vector<Declared>& tensors, std::uint64_t shard_bytes);

std::uint64_t bytes_of(const Declared& tensor);

}  // namespace eddy::hf
