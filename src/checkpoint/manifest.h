#pragma once
// What a checkpoint holds and where, as manifest.json says it (docs/formats/checkpoint.md).
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::checkpoint {

constexpr int kSchema = 2;
constexpr std::uint64_t kChunkBytes = 1 << 20;  ///< slices are hashed in pieces of this size
constexpr const char* kManifestFile = "manifest.json";
constexpr const char* kAttachmentFolder = "hf";
constexpr const char* kChecksums = "checksums";  ///< the dataset of the pieces' hashes, in each data file

/// A block of a tensor: its elements lie together in a data file, row-major.
struct StoredSlice {
  std::vector<std::int64_t> begin, extent;  ///< in the tensor
  std::uint32_t file = 0;
  std::uint64_t offset = 0;       ///< in the file
  std::uint64_t first_chunk = 0;  ///< of the file's checksums
  std::uint64_t xxh3 = 0;         ///< of its pieces' hashes

  std::uint64_t bytes(Dtype dtype) const;
};

/// Pieces of that many bytes.
inline std::uint64_t chunks_of(std::uint64_t bytes) {
  return (bytes + kChunkBytes - 1) / kChunkBytes;
}

struct StoredTensor {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::vector<StoredSlice> slices;  ///< by `begin`, ascending; none for a tensor without elements

  std::uint64_t bytes() const;
};

struct DataFile {
  std::string name;
  std::uint64_t bytes = 0;             ///< its size
  std::uint64_t checksums_offset = 0;  ///< where its pieces' hashes lie, 8 little-endian bytes each
  std::uint64_t structure_xxh3 = 0;    ///< of all its bytes but slices and checksums: HDF5's own records
  std::uint64_t xxh3 = 0;              ///< of structure_xxh3 and its slices' xxh3
  std::uint64_t chunks = 0;            ///< pieces of its slices
};

struct Attachment {
  std::string name;  ///< within the attachment folder
  std::uint64_t bytes = 0;
  std::string xxh3;
};

struct Manifest {
  nlohmann::json meta;
  std::vector<DataFile> files;
  std::vector<StoredTensor> tensors;  ///< by name, ascending
  std::vector<Attachment> attachments;
};

/// Numbers the pieces of every file's slices, in the manifest's order. Throws Error (status 2) for a slice that names
/// no file.
void number_chunks(Manifest& manifest);
/// Each file's xxh3, from what the manifest says of it.
std::vector<std::uint64_t> file_hashes(const Manifest& manifest);

/// The manifest's text; its last key is a hash of all the rest.
std::string to_text(const Manifest& manifest);
/// Throws Error (status 2) naming `where` for a text that was altered, is of another schema, or contradicts itself.
/// Schema 1, of one data file with whole tensors, is read as well.
Manifest from_text(const std::string& text, const std::string& where);

/// The parts of a file that slices and checksums take: [begin, end), ascending, ended by an empty one at the file's
/// end. Throws Error (status 2) naming `where` when two overlap or lie outside.
std::vector<std::pair<std::uint64_t, std::uint64_t>> taken_parts(const Manifest& manifest, std::uint32_t file,
                                                                 const std::string& where);
/// XXH3 of the bytes of an open data file that belong to no slice and no checksum. Throws Error (status 2).
std::uint64_t hash_structure(const Manifest& manifest, std::uint32_t file, int descriptor, const std::string& where);
/// XXH3 of a slice's piece hashes, as the manifest states it.
std::uint64_t combine(const std::uint64_t* hashes, std::uint64_t count);
/// XXH3 and size of a whole file.
Attachment describe_file(const std::filesystem::path& path);
/// Reads exactly these bytes of an open file; throws Error (status 2) naming `where`.
void read_at(int file, void* out, std::uint64_t bytes, std::uint64_t offset, const std::string& where);

}  // namespace eddy::checkpoint
