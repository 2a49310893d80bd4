#include "crawl/payload.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace eddy::crawl {
namespace {

/// A tar header: its checksum (bytes 148–155, octal) is the sum of its bytes with the checksum's own as blanks.
bool is_tar(std::string_view head) {
  if (head.size() < 512) return false;
  unsigned sum = 0, told = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(head[i]);
  std::size_t i = 148;
  while (i < 156 && head[i] == ' ') ++i;
  const std::size_t first = i;
  for (; i < 156 && head[i] >= '0' && head[i] <= '7'; ++i) told = told * 8 + static_cast<unsigned>(head[i] - '0');
  return i > first && told == sum;
}

struct Unpacked {
  std::string head;  // the first 1024 bytes
  std::string reason;
  bool damaged = false;
};

Unpacked unpack(std::string_view bytes, const PayloadLimits& limits) {
  Unpacked result;
  z_stream z{};
  if (inflateInit2(&z, 15 + 16) != Z_OK) fail_run("zlib cannot start");
  std::string buffer(1 << 16, '\0');
  std::uint64_t total = 0;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  std::size_t rest = bytes.size();
  int code = Z_OK;
  do {
    if (z.avail_in == 0) {
      z.avail_in = static_cast<uInt>(std::min<std::size_t>(rest, 1u << 30));
      rest -= z.avail_in;
    }
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(buffer.size());
    code = inflate(&z, Z_NO_FLUSH);
    const std::size_t got = buffer.size() - z.avail_out;
    if (result.head.size() < 1024) result.head.append(buffer, 0, std::min(got, 1024 - result.head.size()));
    total += got;
    if (total > limits.max_unpacked)
      result.reason = "unpacks to more than allowed";
    else if (total > (64u << 20) &&
             static_cast<double>(total) > limits.max_expansion * static_cast<double>(bytes.size()))
      result.reason = "decompression bomb";
    // An archive may be several gzip streams, one after the other.
    if (code == Z_STREAM_END && z.avail_in >= 2 && z.next_in[0] == 0x1f && z.next_in[1] == 0x8b)
      code = inflateReset(&z);
  } while (code == Z_OK && result.reason.empty());
  inflateEnd(&z);
  if (result.reason.empty() && code != Z_STREAM_END) {
    result.reason = "damaged gzip stream";
    result.damaged = true;
  }
  return result;
}

}  // namespace

PayloadKind inspect_payload(std::string_view bytes, const PayloadLimits& limits) {
  if (bytes.substr(0, 1024).find("%PDF-") != std::string_view::npos)
    return {"pdf", "application/pdf", "pdf", "", false};
  if (is_tar(bytes)) return {"latex", "application/x-tar", "tar", "", false};
  if (bytes.size() < 18 || static_cast<unsigned char>(bytes[0]) != 0x1f || static_cast<unsigned char>(bytes[1]) != 0x8b)
    return {"", "", "", bytes.empty() ? "empty" : "neither source nor PDF", false};
  const Unpacked u = unpack(bytes, limits);
  if (!u.reason.empty()) return {"", "", "", u.reason, u.damaged};
  if (u.head.empty()) return {"", "", "", "empty", false};
  if (is_tar(u.head)) return {"latex", "application/gzip", "tar.gz", "", false};
  if (u.head.starts_with("%PDF-"))
    return {"", "", "", "neither source nor PDF", false};  // gzipped: readers want it bare
  return {"tex", "application/gzip", "gz", "", false};
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1) fail_run("SHA-256 failed");
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

}  // namespace eddy::crawl
