#include "shard/shard.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "io/hdf5.h"
#include "shard/format.h"
#include "tokenize/definition.h"

namespace eddy::shard {
namespace fs = std::filesystem;

std::string shard_file_name(Split split, std::uint64_t index) {
  return fmt::format("{}-{:05}.h5", split_name(split), index);
}

void check_vocab_size(std::uint64_t size, const std::string& where) {
  constexpr std::uint64_t kLargest = std::uint64_t{tokenize::kLargestTokenId} + 1;
  if (size == 0 || size > kLargest)
    fail_input("{}: a vocabulary of {} tokens, where there can be 1 to {}: it is damaged; make the shards again", where,
               size, kLargest);
}

namespace {

[[noreturn]] void fail_dataset(const fs::path& file, const char* dataset, const std::string& what) {
  fail_input("{}: dataset '{}': {}; make the shard again with eddy-shard, or copy it again", file.string(), dataset,
             what);
}

void check_checksum(const fs::path& file, const char* dataset, std::uint64_t is, std::uint64_t said) {
  if (is != said)
    fail_dataset(file, dataset, fmt::format("damaged: its checksum is {}, the header says {}", hex64(is), hex64(said)));
}

/// A one-dimensional dataset as it lies in the mapping.
template <class T>
struct Mapped {
  std::span<const T> values;
  std::uint64_t checksum;
};
template <class T>
Mapped<T> map_dataset(const io::MappedFile& file, const io::H5Group& root, const char* name) {
  const io::H5Dataset d = root.dataset(name);
  if (d.type() != io::h5_type_of<T>()) fail_dataset(file.path(), name, "its element type is not the format's");
  if (d.shape().size() != 1) fail_dataset(file.path(), name, "it is not one-dimensional");
  const std::uint64_t checksum = d.read_u64(kChecksum), count = d.shape()[0];
  if (count == 0) return {{}, checksum};
  const auto at = d.file_offset();
  if (!at || *at % alignof(T) != 0) fail_dataset(file.path(), name, "it is not stored contiguously");
  const std::uint64_t size = file.bytes().size();
  if (*at > size || count > (size - *at) / sizeof(T))
    fail_dataset(file.path(), name, fmt::format("it ends beyond the file's {} bytes: the file is truncated", size));
  return {{reinterpret_cast<const T*>(file.bytes().data() + *at), static_cast<std::size_t>(count)}, checksum};
}
template <class T>
std::span<const T> map_checked(const io::MappedFile& file, const io::H5Group& root, const char* name) {
  const auto m = map_dataset<T>(file, root, name);
  check_checksum(file.path(), name, xxh3(m.values.data(), m.values.size_bytes()), m.checksum);
  return m.values;
}

}  // namespace

Shard::Shard(fs::path path) : file_(std::move(path)) {
  const io::H5File file = io::H5File::open(file_.path());
  const io::H5Group root = file.root();
  const std::string name = file_.path().string();
  if (!root.has_attribute("format") || root.read_string("format") != kFormatName)
    fail_input("{}: not a shard of eddy-shard", name);
  if (const std::uint64_t version = root.read_u64("schema_version"); version != kSchemaVersion)
    fail_input("{}: schema version {}; this program reads version {}", name, version, kSchemaVersion);
  const std::string split = root.read_string("split");
  const auto known = std::find(kSplitNames.begin(), kSplitNames.end(), split);
  if (known == kSplitNames.end()) fail_input("{}: its split is '{}', which is none", name, split);
  split_ = static_cast<Split>(known - kSplitNames.begin());
  tokenizer_hash_ = root.read_u64("tokenizer_xxh3");
  vocab_size_ = root.read_u64("vocab_size");
  check_vocab_size(vocab_size_, name + ": vocab_size");
  max_token_ = root.read_u64("max_token");
  if (max_token_ >= vocab_size_)
    fail_dataset(file_.path(), kTokens,
                 fmt::format("holds token id {}, beyond the tokenizer's {} entries", max_token_, vocab_size_));

  const auto tokens = map_dataset<std::uint32_t>(file_, root, kTokens);
  tokens_ = tokens.values;
  tokens_checksum_ = tokens.checksum;
  offsets_ = map_checked<std::uint64_t>(file_, root, kDocOffsets);
  prompt_ = map_checked<std::uint32_t>(file_, root, kDocPrompt);
  source_ = map_checked<std::uint32_t>(file_, root, kDocSource);
  hash_ = map_checked<std::uint64_t>(file_, root, kDocHash);
  source_offsets_ = map_checked<std::uint64_t>(file_, root, kSourceOffsets);
  const auto names = map_checked<std::uint8_t>(file_, root, kSourceNames);
  source_names_ = {reinterpret_cast<const char*>(names.data()), names.size()};
  check_offsets();
}

void Shard::check_offsets() const {
  const auto ascend = [&](std::span<const std::uint64_t> o, const char* dataset, std::uint64_t end) {
    if (o.empty() || o.front() != 0 || o.back() != end || !std::is_sorted(o.begin(), o.end()))
      fail_dataset(path(), dataset, fmt::format("must ascend from 0 to {}", end));
  };
  ascend(offsets_, kDocOffsets, tokens_.size());
  ascend(source_offsets_, kSourceOffsets, source_names_.size());
  const std::uint64_t n = offsets_.size() - 1;
  const auto sized = [&](std::uint64_t size, const char* dataset) {
    if (size != n) fail_dataset(path(), dataset, fmt::format("has {} entries for {} documents", size, n));
  };
  sized(prompt_.size(), kDocPrompt);
  sized(source_.size(), kDocSource);
  sized(hash_.size(), kDocHash);
  for (std::uint64_t i = 0; i < n; ++i) {
    if (prompt_[i] > length(i))
      fail_dataset(path(), kDocPrompt,
                   fmt::format("document {}: a prompt of {} in {} tokens", i, prompt_[i], length(i)));
    if (source_[i] >= sources())
      fail_dataset(path(), kDocSource, fmt::format("document {}: no source {}", i, source_[i]));
  }
}

void Shard::verify() const {
  check_checksum(path(), kTokens, xxh3(tokens_.data(), tokens_.size_bytes()), tokens_checksum_);
  const auto largest = std::max_element(tokens_.begin(), tokens_.end());
  if (largest != tokens_.end() && *largest != max_token_)
    fail_dataset(path(), kTokens, fmt::format("its largest id is {}, the header says {}", *largest, max_token_));
}

}  // namespace eddy::shard
