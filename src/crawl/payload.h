#pragma once
// What a downloaded file is, by its bytes, and whether it may be kept. Nothing is unpacked to disk.
#include <string>
#include <string_view>

namespace eddy::crawl {

struct PayloadLimits {
  std::uint64_t max_unpacked = std::uint64_t{2} << 30;  ///< bytes
  double max_expansion = 200;                           ///< unpacked over packed bytes, beyond the first 64 MiB
};

struct PayloadKind {
  std::string kind;  ///< "latex", "tex", "pdf"; "" where it is none of them
  std::string media_type;
  std::string ending;    ///< "tar.gz", "gz", "tar", "pdf": of the member's name
  std::string reason;    ///< where `kind` is empty
  bool damaged = false;  ///< a gzip stream that is cut off or broken: another download may help
};
/// Looks at the magic bytes, and unpacks gzip streams to count, without keeping, what is in them.
PayloadKind inspect_payload(std::string_view bytes, const PayloadLimits& limits);

/// SHA-256, 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace eddy::crawl
