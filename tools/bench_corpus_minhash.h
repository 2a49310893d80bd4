#pragma once
// The part of `eddy-bench corpus` that compares documents: MinHash on one core.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

/// Some 20,000 words of 2 to 11 letters, the frequent ones short, in sentences; no two documents alike.
std::string made_text(std::uint64_t seed, std::uint64_t words);
/// Documents of made-up words, as one JSON line {"text"} each: what the bench and tests/reference/bench_minhash.py
/// read.
std::string made_documents(std::uint64_t documents, std::uint64_t words);

/// {"documents", "bytes", "words", "seconds", "mb_per_s"} of word 5-grams, 14 bands of 8 rows, over the texts; the best
/// of `passes`, processor time of this thread.
nlohmann::ordered_json bench_minhash(const std::vector<std::string>& texts, int passes);

/// `eddy-bench corpus-minhash [--jsonl FILE]`.
int bench_corpus_minhash(const std::vector<std::string>& arguments);
