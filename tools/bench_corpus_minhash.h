#pragma once
// Two parts of `eddy-bench corpus`: MinHash on one core, and the whole stage of eddy-shard on the ranks of mpiexec
// beside one of them alone.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

/// Documents of made-up words, as one JSON line {"text"} each: what the bench and tests/reference/bench_minhash.py
/// read.
std::string made_documents(std::uint64_t documents, std::uint64_t words);

/// {"documents", "bytes", "words", "seconds", "mb_per_s"} of word 5-grams, 14 bands of 8 rows, over the texts; the best
/// of `passes`, processor time of this thread.
nlohmann::ordered_json bench_minhash(const std::vector<std::string>& texts, int passes);

/// `eddy-bench corpus-minhash [--jsonl FILE]` and `eddy-bench corpus-stage` (also under mpiexec).
int bench_corpus_minhash(const std::vector<std::string>& arguments);
int bench_corpus_stage(const std::vector<std::string>& arguments);
