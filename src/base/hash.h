#pragma once
// xxHash (XXH3): content hashes of files, tensors, documents.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace eddy {
std::uint64_t xxh3(const void* data, std::size_t bytes, std::uint64_t seed = 0);
inline std::uint64_t xxh3(std::string_view s, std::uint64_t seed = 0) {
  return xxh3(s.data(), s.size(), seed);
}
/// 16 lower-case hexadecimal digits.
std::string hex64(std::uint64_t value);

/// XXH3-64 over pieces.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;
  void update(const void* data, std::size_t bytes);
  std::uint64_t digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
}  // namespace eddy
