#pragma once
// Archives as arXiv serves them (tar, also compressed; a lone compressed file), read into memory by libarchive. Nothing
// is ever written to disk, so no name can lead out of a folder; names that try are refused all the same.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace eddy::extract {

struct ArchiveLimits {
  std::uint64_t entries = 20'000;
  std::uint64_t total_bytes = std::uint64_t{1} << 30;  ///< of all entries, unpacked, and their names
  std::uint64_t name = 4096;                           ///< bytes of a name; one that is longer is refused
  std::uint64_t ratio = 200;               ///< unpacked to packed, once more than `ratio_from` bytes came out
  std::uint64_t ratio_from = 32ULL << 20;  ///< small archives may compress as they like
};

struct ArchiveFile {
  std::string name;   ///< relative, with '/', without "." and ".."; empty for a lone compressed file
  std::string bytes;  ///< empty for files that hold no text (figures, fonts)
};

struct Archive {
  std::vector<ArchiveFile> files{};  ///< regular files in the archive's order; of one name the last
  std::uint64_t refused = 0;         ///< links, devices, names that are absolute, lead upwards or are too long
  std::string reason{};              ///< why it was rejected (a short phrase); then there are no files
  std::string detail{};
};

/// What bytes are, by their first ones.
enum class Payload { empty, pdf, postscript, html, archive, text };
Payload payload_of(std::string_view bytes);

/// Unpacks. A damaged archive gives what came before the damage if that is at least one file, else a reason.
Archive unpack(std::string_view bytes, const ArchiveLimits& limits = {});

/// `name` without "./", "//" and "x/..", or "" when it is absolute, leads upwards or is no name.
std::string safe_name(std::string_view name);

}  // namespace eddy::extract
