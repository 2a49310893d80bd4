#include "base/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

namespace eddy {

std::uint64_t xxh3(const void* data, std::size_t bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}
std::string hex64(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

struct Xxh3Stream::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_64bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};
Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) {}
Xxh3Stream::~Xxh3Stream() = default;
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;
void Xxh3Stream::update(const void* data, std::size_t bytes) {
  XXH3_64bits_update(state_->xxh, data, bytes);
}
std::uint64_t Xxh3Stream::digest() const {
  return XXH3_64bits_digest(state_->xxh);
}

}  // namespace eddy
