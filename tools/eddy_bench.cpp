// eddy-bench: every benchmark that a claim in the documents rests on.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/main.h"
#include "bench_checkpoint.h"
#include "bench_comm.h"
#include "bench_convert.h"
#ifdef EDDY_BENCH_CORPUS
#include "bench_corpus_extract.h"
#include "bench_corpus_minhash.h"
#include "bench_corpus_stage.h"
#endif
#include "bench_kernels.h"
#include "bench_shard.h"
#include "bench_slice.h"
#include "bench_tokenizer.h"
#include "bench_train.h"

namespace {

struct Benchmark {
  const char* name;
  const char* what;
  int (*run)(const std::vector<std::string>& arguments);
};
using namespace eddy;
constexpr Benchmark kBenchmarks[] = {
    {"train", "whole training steps on one rank, beside sgemm", bench_train},
    {"slice", "layers of DeepSeek-V3's size on GPUs in any layout, with each operation's share of its ceiling",
     bench_slice},
    {"kernels", "every kernel at the slice's sizes, beside the ceilings of the same run", bench_kernels},
    {"comm", "bus bandwidth of collectives between ranks, under mpirun", bench_comm},
    {"checkpoint", "saving and loading beside dd, under mpirun too; what an asynchronous save costs", bench_checkpoint},
    {"convert", "casting between FP8 and BF16, in memory and folder to folder", bench_convert},
    {"shard", "reading packed rows, beside memcpy", bench_shard},
    {"tokenizer", "encoding text, one thread", bench_tokenizer},
#ifdef EDDY_BENCH_CORPUS
    {"corpus-extract", "text from LaTeX and PDF papers, one core", bench_corpus_extract},
    {"corpus-minhash", "MinHash signatures, one thread", bench_corpus_minhash},
    {"corpus-stage", "the whole of eddy-shard, under mpirun, beside one rank", bench_corpus_stage},
#endif
};

int bench(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help") {
    fmt::print("usage: eddy-bench NAME [--json] [options]; eddy-bench NAME --help\n");
    for (const auto& b : kBenchmarks) fmt::print("  {:<15} {}\n", b.name, b.what);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    fmt::print("eddy-bench {}\n", EDDY_VERSION);
    return 0;
  }
  for (const auto& b : kBenchmarks)
    if (arguments[0] == b.name) return b.run({arguments.begin() + 1, arguments.end()});
  fail_input("there is no benchmark '{}'; eddy-bench --help lists them", arguments[0]);
}
}  // namespace

int main(int argc, char** argv) {
  return eddy::run_main("eddy-bench", [&] { return bench({argv + 1, argv + argc}); });
}
