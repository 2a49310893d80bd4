#include "shard/corpus.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "io/file.h"
#include "shard/format.h"
#include "tokenize/tokenizer.h"

namespace eddy::shard {
namespace fs = std::filesystem;

void check_tokenizer(std::uint64_t shards_hash, const std::string& shards, std::uint64_t hash,
                     const std::string& where) {
  if (shards_hash != hash)
    fail_input(
        "{} was made with the tokenizer {}, {} is {}: use the tokenizer.json beside the shards, or make them again",
        shards, hex64(shards_hash), where, hex64(hash));
}

void check_tokenizer_file(const fs::path& dir, const Manifest& manifest, bool needed) {
  const fs::path path = dir / kTokenizerName;
  std::error_code none;
  if (!fs::exists(path, none)) {
    if (needed) fail_input("{}: missing: copy it again, or make the shards again", path.string());
    return;
  }
  const std::string bytes = io::read_file(path);
  check_tokenizer(manifest.tokenizer_hash, dir.string(), xxh3(bytes), path.string());
  if (const std::size_t size = tokenize::Tokenizer::from_json(bytes, path.string()).vocab_size();
      size != manifest.vocab_size)
    fail_input("{}: has {} tokens where {} says {}", path.string(), size, (dir / kManifestName).string(),
               manifest.vocab_size);
}

Corpus::Corpus(const std::vector<fs::path>& dirs, Split split) {
  for (const fs::path& dir : dirs) {
    const Manifest manifest = read_manifest(dir);
    const std::size_t before = shards_.size();
    for (const ShardEntry& entry : manifest.shards) {
      if (entry.split != split) continue;
      const fs::path path = dir / entry.file;
      std::error_code none;
      const std::uintmax_t bytes = fs::file_size(path, none);
      if (none) fail_input("{}: missing, though {} lists it", path.string(), (dir / "manifest.json").string());
      if (bytes != entry.bytes)
        fail_input("{}: truncated or not the file that was written: {} bytes where the manifest says {}", path.string(),
                   bytes, entry.bytes);
      const Shard& shard = shards_.emplace_back(path);
      if (shard.split() != split || shard.documents() != entry.counts.documents ||
          shard.tokens() != entry.counts.tokens)
        fail_input("{}: not the shard that {} lists", path.string(), (dir / "manifest.json").string());
      check_tokenizer(shard.tokenizer_hash(), path.string(), shards_.front().tokenizer_hash(),
                      shards_.front().path().string());
      if (shard.vocab_size() != manifest.vocab_size)
        fail_input("{}: its header says a vocabulary of {} tokens, {} one of {}", path.string(), shard.vocab_size(),
                   (dir / kManifestName).string(), manifest.vocab_size);
      first_.push_back(first_.back() + shard.documents());
      tokens_ += shard.tokens();
    }
    if (shards_.size() == before) fail_input("{}: has no documents in its {} split", dir.string(), split_name(split));
  }
  if (shards_.empty()) fail_input("no directory of shards is given");
}

std::uint64_t Corpus::max_token() const {
  std::uint64_t largest = 0;
  for (const Shard& s : shards_) largest = std::max(largest, s.max_token());
  return largest;
}

Corpus::Place Corpus::place(std::uint64_t i) const {
  const auto next = std::upper_bound(first_.begin(), first_.end(), i);
  const auto shard = static_cast<std::size_t>(next - first_.begin()) - 1;
  return {shard, i - first_[shard]};
}

}  // namespace eddy::shard
