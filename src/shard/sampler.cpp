#include "shard/sampler.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/rng.h"
#include "shard/corpus.h"
#include "shard/format.h"
#include "shard/order.h"
#include "shard/packing.h"
#include "shard/row_reader.h"

namespace eddy::shard {
namespace fs = std::filesystem;

std::vector<Source> parse_sources(const std::string& text) {
  std::vector<Source> sources;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string dir = text.substr(begin, end - begin);
    Source source;
    if (const std::size_t colon = dir.rfind(':'); colon != std::string::npos) {
      const char *first = dir.data() + colon + 1, *last = dir.data() + dir.size();
      const auto [stop, error] = std::from_chars(first, last, source.weight);
      if (error != std::errc() || stop != last || !(source.weight > 0) || source.weight > 1e9)
        fail_input("data source '{}': '{}' is not a weight; write dir:0.7,dir2:0.3", text, std::string(first, last));
      dir.resize(colon);
    }
    if (dir.empty()) fail_input("data source '{}': the name of a directory is missing; write dir:0.7,dir2:0.3", text);
    source.dir = dir;
    sources.push_back(std::move(source));
    begin = end + 1;
  }
  const auto weighted = std::count_if(sources.begin(), sources.end(), [](const Source& s) { return s.weight > 0; });
  if (weighted != 0 && static_cast<std::size_t>(weighted) != sources.size())
    fail_input("data source '{}': give a weight to all directories or to none", text);
  return sources;
}

namespace {
/// Sources that are packed together, and their rows.
struct Pool {
  Corpus corpus;
  Packing packing;
};

/// The packing of the train split is seeded, others follow the corpus.
Packing pack_corpus(const Corpus& corpus, bool shuffled, std::uint64_t seed, std::int64_t seq_len) {
  const Permutation permutation(corpus.documents(), seed);
  DocumentSizes sizes{.documents = corpus.documents(), .tokens = {}, .prompt = {}, .order = {}};
  sizes.tokens = [&](std::uint64_t i) {
    const auto p = corpus.place(i);
    return corpus.shards()[p.shard].length(p.local);
  };
  sizes.prompt = [&](std::uint64_t i) {
    const auto p = corpus.place(i);
    return corpus.shards()[p.shard].prompt(p.local);
  };
  sizes.order = [&](std::uint64_t i) { return shuffled ? permutation(i) : i; };
  return pack(sizes, seq_len);
}
}  // namespace

struct Sampler::Impl {
  Impl(Split s, const SamplerConfig& c, Mixture m) : split(s), config(c), mixture(std::move(m)) {}
  Split split;
  SamplerConfig config;
  std::vector<Pool> pools;
  Mixture mixture;

  std::uint64_t rows() const {
    std::uint64_t n = 0;
    for (const Pool& p : pools) n += p.packing.rows();
    return n;
  }
  void fill(const Pool& pool, std::uint64_t r, PackedRow& out) const {
    read_row(pool.corpus, pool.packing, r, config.seq_len, out);
  }
  void add_pool(const std::vector<fs::path>& dirs);
};

void Sampler::Impl::add_pool(const std::vector<fs::path>& dirs) {
  Corpus corpus(dirs, split);
  if (!pools.empty())
    check_tokenizer(corpus.tokenizer_hash(), dirs.front().string(), pools.front().corpus.tokenizer_hash(),
                    pools.front().corpus.shards().front().path().string());
  const auto is_mine = [&](std::size_t number) {  // to verify
    return config.verify &&
           number % static_cast<std::size_t>(config.verify_ranks) == static_cast<std::size_t>(config.verify_rank);
  };
  for (std::size_t d = 0; d < dirs.size(); ++d)
    if (is_mine(d)) check_tokenizer_file(dirs[d], read_manifest(dirs[d]), false);
  std::size_t number = 0;
  for (const Shard& shard : corpus.shards()) {
    if (config.vocab_size > 0 && shard.max_token() >= config.vocab_size)
      fail_input(
          "{}: dataset '{}' holds token id {}; the model's vocabulary has {} entries: train a model with at least {}",
          shard.path().string(), kTokens, shard.max_token(), config.vocab_size, shard.vocab_size());
    if (is_mine(number++)) shard.verify();
  }
  Packing packing = pack_corpus(corpus, split == Split::train, mix(config.seed, 0x7061636b), config.seq_len);
  if (packing.rows() == 0)
    fail_input("{}: its {} split has no token to train on", dirs.front().string(), split_name(split));
  pools.push_back({std::move(corpus), std::move(packing)});
}

Sampler::Sampler(const std::vector<Source>& sources, Split split, const SamplerConfig& config) {
  if (sources.empty()) fail_input("no data source is given");
  if (config.global_batch < 1 || config.verify_ranks < 1) fail_run("a sampler of {} rows a step", config.global_batch);
  std::vector<double> weights;
  std::vector<fs::path> together;
  for (const Source& s : sources) {
    if (s.weight > 0)
      weights.push_back(s.weight);
    else
      together.push_back(s.dir);
  }
  if (!weights.empty() && !together.empty())
    fail_input("{}: give a weight to all directories or to none", together.front().string());
  auto impl = std::make_unique<Impl>(split, config, Mixture(weights.empty() ? std::vector<double>{1} : weights));
  if (weights.empty())
    impl->add_pool(together);
  else
    for (const Source& s : sources) impl->add_pool({s.dir});
  impl_ = std::move(impl);
}

Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

void Sampler::row(std::uint64_t step, int index, PackedRow& out) const {
  const SamplerConfig& c = impl_->config;
  if (index < 0 || index >= c.global_batch) fail_run("row {} of a batch of {}", index, c.global_batch);
  const Mixture::Draw draw =
      impl_->mixture(step * static_cast<std::uint64_t>(c.global_batch) + static_cast<std::uint64_t>(index));
  const Pool& pool = impl_->pools[draw.source];
  const std::uint64_t rows = pool.packing.rows(), epoch = draw.nth / rows, position = draw.nth % rows;
  if (impl_->split != Split::train) return impl_->fill(pool, position, out);
  impl_->fill(pool, Permutation(rows, mix(mix(c.seed, draw.source), epoch))(position), out);
}

PackedRow Sampler::row(std::uint64_t step, int index) const {
  PackedRow out;
  row(step, index, out);
  return out;
}

void Sampler::row_at(std::uint64_t r, PackedRow& out) const {
  for (const Pool& pool : impl_->pools) {
    if (r < pool.packing.rows()) return impl_->fill(pool, r, out);
    r -= pool.packing.rows();
  }
  fail_run("row {} beyond the sampler's {}", r + rows(), rows());
}

PackedRow Sampler::row_at(std::uint64_t r) const {
  PackedRow out;
  row_at(r, out);
  return out;
}

std::uint64_t Sampler::rows() const {
  return impl_->rows();
}
double Sampler::epoch(std::uint64_t step) const {
  return static_cast<double>(step) * impl_->config.global_batch / static_cast<double>(rows());
}
std::uint64_t Sampler::tokens_per_epoch() const {
  std::uint64_t n = 0;
  for (const Pool& p : impl_->pools) n += p.packing.tokens;
  return n;
}
std::uint64_t Sampler::targets_per_epoch() const {
  std::uint64_t n = 0;
  for (const Pool& p : impl_->pools) n += p.packing.targets;
  return n;
}
std::uint64_t Sampler::tokenizer_hash() const {
  return impl_->pools.front().corpus.tokenizer_hash();
}
std::uint64_t Sampler::vocab_size() const {
  return impl_->pools.front().corpus.vocab_size();
}

}  // namespace eddy::shard
