// Any bytes as what arXiv serves: no crash, no hang, no name that leads out of its folder.
#include <cstdint>
#include <cstdlib>

#include "extract/article.h"
#include "extract/main_file.h"

using namespace eddy::extract;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const ArchiveLimits limits{.entries = 100, .total_bytes = 1 << 20, .ratio_from = 1 << 18};
  const Archive archive = unpack(bytes, limits);
  std::size_t total = 0;
  for (const ArchiveFile& f : archive.files) {
    total += f.bytes.size();
    if (f.name != safe_name(f.name) && !f.name.empty()) std::abort();
    if (f.name.substr(0, 3) == "../" || f.name.substr(0, 1) == "/") std::abort();
  }
  if (total > limits.total_bytes) std::abort();
  find_main_files(archive.files);
  extract_payload(bytes, {}, limits);
  return 0;
}
