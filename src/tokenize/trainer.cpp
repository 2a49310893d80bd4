#include "tokenize/trainer.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_set>

#include "base/error.h"
#include "tokenize/byte_level.h"

namespace eddy::tokenize {
namespace {

using Pair = std::pair<std::uint32_t, std::uint32_t>;
std::uint64_t key_of(Pair p) {
  return std::uint64_t{p.first} << 32 | p.second;
}

/// Words as token ids, and the counts of their adjacent pairs, kept up to date from merge to merge.
class PairCounts {
 public:
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {  // a priority queue's top is its largest
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void add_word(std::vector<std::uint32_t> ids, std::int64_t count) {
    const auto word = static_cast<std::uint32_t>(words_.size());
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) count_pair({ids[i], ids[i + 1]}, count, word);
    words_.push_back({std::move(ids), count});
  }
  void start() {
    for (const auto& [key, stats] : pairs_)
      queue_.push({stats.count, {static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key)}});
  }

  /// The most frequent pair, taken out; count 0 when none is left.
  Candidate best() {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      const auto stats = pairs_.find(key_of(top.pair));
      const std::int64_t now = stats == pairs_.end() ? 0 : stats->second.count;
      if (now == top.count) return top;
      top.count = now;  // it shrank since it was queued
      if (now > 0) queue_.push(top);
    }
    return {0, {}};
  }

  /// Replaces `pair` by `merged` in every word.
  void merge(Pair pair, std::uint32_t merged) {
    const std::vector<std::uint32_t> places = std::move(pairs_.at(key_of(pair)).words);
    for (const std::uint32_t word : places) merge_in(word, pair, merged);
    pairs_.erase(key_of(pair));
    queue_grown();
  }

 private:
  struct Word {
    std::vector<std::uint32_t> ids;
    std::int64_t count;
  };
  struct Stats {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words{};  ///< that hold the pair, or held it once; a word may stand twice
  };

  void count_pair(Pair pair, std::int64_t by, std::uint32_t word) {
    Stats& stats = pairs_[key_of(pair)];
    stats.count += by;
    if (by > 0 && (stats.words.empty() || stats.words.back() != word)) stats.words.push_back(word);
  }
  void change(Pair pair, std::int64_t by, std::uint32_t word) {
    count_pair(pair, by, word);
    if (by > 0) grown_.push_back(pair);
  }

  void merge_in(std::uint32_t index, Pair pair, std::uint32_t merged) {
    auto& [ids, count] = words_[index];
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] != pair.first || i + 1 == ids.size() || ids[i + 1] != pair.second) {
        ids[kept++] = ids[i];
        continue;
      }
      if (kept > 0) {
        change({ids[kept - 1], pair.first}, -count, index);
        change({ids[kept - 1], merged}, count, index);
      }
      if (i + 2 < ids.size()) {
        change({pair.second, ids[i + 2]}, -count, index);
        change({merged, ids[i + 2]}, count, index);
      }
      ids[kept++] = merged;
      ++i;
    }
    ids.resize(kept);
  }

  void queue_grown() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair& pair : grown_)
      if (const auto stats = pairs_.find(key_of(pair)); stats != pairs_.end() && stats->second.count > 0)
        queue_.push({stats->second.count, pair});
    grown_.clear();
  }

  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, Stats> pairs_;
  std::vector<Pair> grown_;  ///< pairs whose count rose since the queue last saw them
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<AddedToken> default_added_tokens() {
  const auto control = [](std::string content) { return AddedToken{.content = std::move(content), .special = true}; };
  const auto plain = [](std::string content) { return AddedToken{.content = std::move(content), .normalized = true}; };
  return {control("<｜begin▁of▁sentence｜>"),
          control("<｜end▁of▁sentence｜>"),
          control("<｜▁pad▁｜>"),
          plain("<｜User｜>"),
          plain("<｜Assistant｜>"),
          plain("<think>"),
          plain("</think>")};
}

BpeTrainer::BpeTrainer(std::size_t vocab_size, std::vector<AddedToken> added)
    : vocab_size_(vocab_size), added_(std::move(added)), pre_tokenizer_({.splits = DeepSeekSplits::rules()}) {
  if (vocab_size_ < added_.size() + 256 || vocab_size_ > kLargestTokenId)
    fail_input("a vocabulary of {} tokens is impossible: choose {} (256 bytes and {} added tokens) to {}", vocab_size_,
               added_.size() + 256, added_.size(), kLargestTokenId);
}

void BpeTrainer::add(std::string_view document) {
  pre_tokenizer_.for_each(document, match_, [&](const Piece& piece) {
    const std::string_view word = document.substr(piece.begin, piece.end - piece.begin);
    if (const auto known = words_.find(word); known != words_.end())
      ++known->second;
    else
      words_.emplace(word, 1);
  });
}

std::string BpeTrainer::finish() {
  Definition out;
  out.pre_tokenizer.splits = DeepSeekSplits::rules();
  IdMap ids;
  const auto add_token = [&](const std::string& spelling) {
    const auto [entry, fresh] = ids.emplace(spelling, static_cast<std::uint32_t>(out.vocabulary.size()));
    if (fresh) out.vocabulary.emplace_back(spelling);
    return entry->second;
  };
  for (const AddedToken& token : added_) {
    out.added.push_back(token);
    out.added.back().id = add_token(token.content);
  }
  std::array<std::uint32_t, 256> byte_ids{};
  for (const std::uint8_t byte : bytes_by_character()) {
    const char c = static_cast<char>(byte);
    byte_ids[byte] = add_token(spell(std::string_view(&c, 1)));
  }

  PairCounts pairs;
  for (const auto& [word, count] : words_) {
    std::vector<std::uint32_t> word_ids;
    for (const char c : word) word_ids.push_back(byte_ids[static_cast<unsigned char>(c)]);
    pairs.add_word(std::move(word_ids), count);
  }
  pairs.start();
  std::unordered_set<std::uint64_t> known_rules;
  while (out.vocabulary.size() < vocab_size_) {
    const auto [count, pair] = pairs.best();
    if (count == 0) break;
    // Two ways to the same string share its token; then a pair may come up again, which needs no second rule.
    const std::uint32_t merged = add_token(*out.vocabulary[pair.first] + *out.vocabulary[pair.second]);
    if (known_rules.insert(key_of(pair)).second) out.merges.push_back({pair.first, pair.second, merged});
    pairs.merge(pair, merged);
  }
  return definition_json(out);
}

}  // namespace eddy::tokenize
