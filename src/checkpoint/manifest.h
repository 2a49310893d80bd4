#pragma once
// What a checkpoint holds and where, as manifest.json says it (docs/formats/checkpoint.md).
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::checkpoint {

constexpr int kSchema = 1;
constexpr std::uint64_t kChunkBytes = 1 << 20;  ///< tensors are hashed in pieces of this size
constexpr const char* kManifestFile = "manifest.json";
constexpr const char* kDataFile = "data.h5";
constexpr const char* kAttachmentFolder = "hf";
constexpr const char* kChecksums = "checksums";  ///< the dataset of the pieces' hashes

/// One tensor: its bytes lie together in the data file.
struct Extent {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;       ///< in the data file
  std::uint64_t first_chunk = 0;  ///< of the checksums
  std::string xxh3;               ///< of its pieces' hashes

  std::uint64_t bytes() const;
  std::uint64_t chunks() const { return (bytes() + kChunkBytes - 1) / kChunkBytes; }
};

struct Attachment {
  std::string name;  ///< within the attachment folder
  std::uint64_t bytes = 0;
  std::string xxh3;
};

struct Manifest {
  nlohmann::json meta;
  std::uint64_t data_bytes = 0;        ///< size of the data file
  std::uint64_t checksums_offset = 0;  ///< where the pieces' hashes lie in it, 8 little-endian bytes each
  std::string structure_xxh3;          ///< of everything in the data file but tensors and checksums: HDF5's own records
  std::vector<Extent> tensors;         ///< by name, ascending
  std::vector<Attachment> attachments;

  std::uint64_t chunks() const { return tensors.empty() ? 0 : tensors.back().first_chunk + tensors.back().chunks(); }
};

/// The manifest's text; its last key is a hash of all the rest.
std::string to_text(const Manifest& manifest);
/// Throws Error (status 2) naming `where` for a text that was altered, is of another schema, or contradicts itself.
Manifest from_text(const std::string& text, const std::string& where);

/// XXH3 of the bytes of the data file that belong to no tensor and no checksum. Throws Error (status 2) when two
/// extents overlap or lie outside, or the file cannot be read.
std::string hash_structure(const Manifest& manifest, int file, const std::string& where);
/// XXH3 and size of a whole file.
Attachment describe_file(const std::filesystem::path& path);
/// Reads exactly these bytes of an open file; throws Error (status 2) naming `where`.
void read_at(int file, void* out, std::uint64_t bytes, std::uint64_t offset, const std::string& where);

}  // namespace eddy::checkpoint
