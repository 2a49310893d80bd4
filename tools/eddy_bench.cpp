// eddy-bench: every benchmark that a claim in the documents rests on.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/main.h"
#include "bench_comm.h"
#ifdef EDDY_BENCH_CORPUS
#include "bench_corpus_extract.h"
#include "bench_corpus_minhash.h"
#endif
#include "bench_shard.h"
#include "bench_slice.h"
#include "bench_tokenizer.h"
#include "bench_train.h"

namespace {
constexpr const char* kUsage =
    "usage: eddy-bench NAME [--json] [options]; eddy-bench NAME --help\n"
    "  train      whole training steps on one rank, beside sgemm\n"
    "  slice      layers of DeepSeek-V3's size on GPUs in any layout, with each operation's share of its ceiling\n"
    "  comm       bus bandwidth of collectives between ranks, under mpirun\n"
    "  shard      reading packed rows, beside memcpy\n"
    "  tokenizer  encoding text, one thread\n"
#ifdef EDDY_BENCH_CORPUS
    "  corpus-extract  text from LaTeX and PDF papers, one core\n"
    "  corpus-minhash  MinHash signatures, one thread\n"
    "  corpus-stage    the whole of eddy-shard, under mpirun, beside one rank\n"
#endif
    ;

int bench(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help") {
    fmt::print("{}", kUsage);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    fmt::print("eddy-bench {}\n", EDDY_VERSION);
    return 0;
  }
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (arguments[0] == "train") return eddy::bench_train(rest);
  if (arguments[0] == "slice") return eddy::bench_slice(rest);
  if (arguments[0] == "comm") return eddy::bench_comm(rest);
  if (arguments[0] == "shard") return bench_shard(rest);
  if (arguments[0] == "tokenizer") return bench_tokenizer(rest);
#ifdef EDDY_BENCH_CORPUS
  if (arguments[0] == "corpus" && !rest.empty() && !rest[0].starts_with("-")) {  // "corpus stage" for "corpus-stage"
    std::vector<std::string> joined{"corpus-" + rest[0]};
    joined.insert(joined.end(), rest.begin() + 1, rest.end());
    return bench(joined);
  }
  if (arguments[0] == "corpus-extract") return bench_corpus_extract(rest);
  if (arguments[0] == "corpus-minhash") return bench_corpus_minhash(rest);
  if (arguments[0] == "corpus-stage") return bench_corpus_stage(rest);
#endif
  eddy::fail_input("there is no benchmark '{}'; eddy-bench --help lists them", arguments[0]);
}
}  // namespace

int main(int argc, char** argv) {
  return eddy::run_main("eddy-bench", [&] { return bench({argv + 1, argv + argc}); });
}
