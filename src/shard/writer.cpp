#include "shard/writer.h"

#include <algorithm>
#include <fstream>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "io/file.h"
#include "io/hdf5.h"
#include "shard/format.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;  ///< tokens gathered before they are written

template <class T>
void write_whole(io::H5Group& root, const char* name, const std::vector<T>& values) {
  io::H5Dataset d = root.create_dataset(name, io::h5_type_of<T>(), {values.size()});
  if (!values.empty()) d.write({{0}, {values.size()}}, values.data(), io::h5_type_of<T>());
  d.write_attribute(kChecksum, xxh3(values.data(), values.size() * sizeof(T)));
}

/// Streams the tokens into their dataset and returns the largest id.
std::uint64_t write_tokens(io::H5Group& root, const fs::path& path, std::uint64_t vocab_size,
                           const std::vector<ShardDocument>& documents, std::uint64_t total,
                           const std::function<std::span<const std::uint32_t>(std::size_t)>& tokens_of) {
  io::H5Dataset dataset = root.create_dataset(kTokens, io::H5Type::u32, {total});
  Xxh3Stream checksum;
  std::vector<std::uint32_t> block;
  block.reserve(std::min<std::uint64_t>(kBlock, total));
  std::uint64_t written = 0, largest = 0;
  const auto flush = [&] {
    if (block.empty()) return;
    dataset.write({{written}, {block.size()}}, block.data(), io::H5Type::u32);
    checksum.update(block.data(), block.size() * sizeof(std::uint32_t));
    written += block.size();
    block.clear();
  };
  for (std::size_t i = 0; i < documents.size(); ++i) {
    std::span<const std::uint32_t> ids = tokens_of(i);
    if (ids.size() != documents[i].tokens)
      fail_run("{}: document {} has {} tokens where {} were announced", path.string(), i, ids.size(),
               documents[i].tokens);
    if (!ids.empty()) largest = std::max<std::uint64_t>(largest, *std::max_element(ids.begin(), ids.end()));
    if (largest >= vocab_size)
      fail_input("{}: dataset '{}': document {} has token id {}, beyond the vocabulary of {}", path.string(), kTokens,
                 i, largest, vocab_size);
    while (!ids.empty()) {
      const std::size_t n = std::min(ids.size(), kBlock - block.size());
      block.insert(block.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
      ids = ids.subspan(n);
      if (block.size() == kBlock) flush();
    }
  }
  flush();
  dataset.write_attribute(kChecksum, checksum.digest());
  return largest;
}

/// Size and XXH3-64 of a file, read in pieces.
std::pair<std::uint64_t, std::uint64_t> hash_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> piece(std::size_t{1} << 20);
  Xxh3Stream hash;
  std::uint64_t bytes = 0;
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
    hash.update(piece.data(), static_cast<std::size_t>(in.gcount()));
    bytes += static_cast<std::uint64_t>(in.gcount());
  }
  if (!in.eof()) fail_run("cannot read {} again", path.string());
  return {bytes, hash.digest()};
}

}  // namespace

ShardEntry write_shard(const fs::path& path, const ShardHeader& header, const std::vector<ShardDocument>& documents,
                       const std::vector<std::string>& sources,
                       const std::function<std::span<const std::uint32_t>(std::size_t)>& tokens_of) {
  std::vector<std::uint64_t> offsets{0}, hashes, source_offsets{0};
  std::vector<std::uint32_t> prompts, source_ids;
  std::vector<std::uint8_t> names;
  ShardEntry entry{.file = shard_file_name(header.split, header.index), .split = header.split, .counts = {}};
  for (const ShardDocument& d : documents) {
    if (d.prompt > d.tokens || d.source >= sources.size())
      fail_run("{}: document {} has prompt {} of {} tokens, source {} of {}", path.string(), hashes.size(), d.prompt,
               d.tokens, d.source, sources.size());
    offsets.push_back(offsets.back() + d.tokens);
    prompts.push_back(d.prompt);
    source_ids.push_back(d.source);
    hashes.push_back(d.hash);
    entry.counts += {1, d.tokens, d.tokens - d.prompt};
  }
  for (const std::string& s : sources) {
    names.insert(names.end(), s.begin(), s.end());
    source_offsets.push_back(names.size());
  }

  io::H5File file = io::H5File::create(path);
  {
    io::H5Group root = file.root();
    root.write_attribute("format", std::string(kFormatName));
    root.write_attribute("schema_version", kSchemaVersion);
    root.write_attribute("split", std::string(split_name(header.split)));
    root.write_attribute("index", header.index);
    root.write_attribute("tokenizer_xxh3", header.tokenizer_hash);
    root.write_attribute("vocab_size", header.vocab_size);
    write_whole(root, kDocOffsets, offsets);
    write_whole(root, kDocPrompt, prompts);
    write_whole(root, kDocSource, source_ids);
    write_whole(root, kDocHash, hashes);
    write_whole(root, kSourceOffsets, source_offsets);
    write_whole(root, kSourceNames, names);
    root.write_attribute("max_token",
                         write_tokens(root, path, header.vocab_size, documents, offsets.back(), tokens_of));
  }
  file.close();
  io::sync_file(path);
  std::tie(entry.bytes, entry.xxh3) = hash_file(path);
  return entry;
}

DatasetWriter::DatasetWriter(fs::path dir, std::uint64_t tokenizer_hash, std::uint64_t vocab_size)
    : dir_(std::move(dir)), tokenizer_hash_(tokenizer_hash), vocab_size_(vocab_size) {}

void DatasetWriter::add(Split split, std::vector<std::uint32_t> tokens, std::uint32_t prompt) {
  documents_[static_cast<std::size_t>(split)].push_back({std::move(tokens), prompt});
}

void DatasetWriter::finish(std::uint64_t shard_tokens) {
  fs::create_directories(dir_);
  Manifest manifest{.tokenizer_hash = tokenizer_hash_, .vocab_size = vocab_size_, .shards = {}};
  for (Split split : {Split::train, Split::validation, Split::test}) {
    const auto& all = documents_[static_cast<std::size_t>(split)];
    std::uint64_t index = 0;
    for (std::size_t begin = 0; begin < all.size();) {
      std::vector<ShardDocument> documents;
      std::uint64_t tokens = 0;
      std::size_t end = begin;
      for (; end < all.size() && (end == begin || tokens + all[end].tokens.size() <= shard_tokens); ++end) {
        const auto& ids = all[end].tokens;
        tokens += ids.size();
        documents.push_back({ids.size(), all[end].prompt, 0, xxh3(ids.data(), ids.size() * sizeof(std::uint32_t))});
      }
      manifest.shards.push_back(write_shard(dir_ / shard_file_name(split, index),
                                            {split, index, tokenizer_hash_, vocab_size_}, documents, {"memory"},
                                            [&](std::size_t i) { return std::span(all[begin + i].tokens); }));
      ++index;
      begin = end;
    }
  }
  write_manifest(dir_, manifest);
}

}  // namespace eddy::shard
