#pragma once
// A stored slice's bytes, in the pieces that have a checksum: each is read once and compared.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::checkpoint {

struct SliceSource {
  const std::string& tensor;
  std::uint64_t bytes, offset;  ///< of the slice, in the file
  const std::vector<std::uint64_t>& hashes;
  int file;
  int direct;  ///< the same file opened with O_DIRECT, or -1
  std::string path;
};

/// Memory for reads past the page cache; kept from slice to slice.
class PageBuffer {
 public:
  static constexpr std::uint64_t kBytes = 4 << 20;  ///< of a slice, at once
  char* data();                                     ///< page-aligned; null where there is no memory

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> memory_;
};

/// One thread's. Runs that ascend read no piece twice.
class SliceReader {
 public:
  /// Widens stored bf16 where f32 is wanted. `pages` is this thread's own.
  SliceReader(const SliceSource& source, Dtype stored, Dtype wanted, PageBuffer& pages)
      : s_(source), stored_(stored), wanted_(wanted), pages_(pages) {}
  /// Elements [first, first + count) of the slice. Throws Error (status 2) naming file and tensor when a piece is
  /// damaged.
  void read(std::uint64_t first, std::uint64_t count, char* out);
  /// Compares bytes [begin, end), begin at the start of a piece.
  void check(std::uint64_t begin, std::uint64_t end);

 private:
  std::uint64_t read_whole(std::uint64_t at, std::uint64_t bytes, char* out);
  void require(std::uint64_t chunk, const char* data, std::uint64_t bytes) const;
  void load(std::uint64_t chunk);
  const char* fetch(std::uint64_t at, std::uint64_t bytes, char* out);
  SliceSource s_;
  Dtype stored_, wanted_;
  PageBuffer& pages_;
  std::vector<char> buffer_;
  std::uint64_t held_ = UINT64_MAX;
};

}  // namespace eddy::checkpoint
