// eddy-shard from outside: exit statuses, messages, nothing lost; documents of every kind through to inspect and
// sample.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "made_tokenizer.h"
#include "support.h"
#include "synthetic_store.h"

using eddy_test::read_file;
using eddy_test::run;
using eddy_test::RunResult;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

namespace {
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Inputs {
  TempDir dir;
  std::string in = (dir / "in").string(), tokenizer = (dir / "tokenizer.json").string(), out = (dir / "out").string();
  Inputs() {
    fs::create_directories(in);
    write_file(dir / "in" / "a.md", "the theorem and the lemma\n");
    write_file(dir / "in" / "damaged.pdf", "%PDF-1.4 but not really");
    write_file(dir / "in" / "pairs.jsonl",
               "{\"prompt\": \"the sum?\", \"response\": \"<think>\\nprimes\\n</think>\\n\\nthe sum\"}\n{\"text\": "
               "oops}\n{\"text\": \"the primes\"}\n");
    write_file(tokenizer, eddy_test::tokenizer_json());
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> c{"eddy-shard",         "--input", in, "--tokenizer", tokenizer, "--out", out,
                               "--split.validation", "0"};
    c.insert(c.end(), more.begin(), more.end());
    return c;
  }
};
}  // namespace

TEST_CASE("help, version, unknown commands") {
  const RunResult help = run({"eddy-shard", "--help"});
  CHECK(help.status == 0);
  CHECK(has(help.out, "--split.validation"));
  CHECK(run({"eddy-shard", "--version"}).status == 0);
  CHECK(run({"eddy-shard", "inspect", "--help"}).status == 0);
  const RunResult unknown = run({"eddy-shard", "inspct"});
  CHECK(unknown.status == 2);
  CHECK(has(unknown.err, "did you mean inspect?"));
}

TEST_CASE("documents become shards that inspect and sample show") {
  const Inputs i;
  const RunResult built = run(i.command());
  INFO(built.err);
  REQUIRE(built.status == 0);
  CHECK(has(built.err, "in/pairs.jsonl:2: JSON: malformed"));
  CHECK(has(built.err, "rejected: 1 × PDF: "));
  CHECK(has(built.err, "train: 3 documents"));
  CHECK(read_file(i.dir / "out" / "tokenizer.json") == read_file(i.tokenizer));

  const RunResult inspected = run({"eddy-shard", "inspect", i.out, "--json"});
  REQUIRE(inspected.status == 0);
  const auto j = nlohmann::json::parse(inspected.out);
  CHECK(j.at("splits").at("train").at("documents") == 3);
  CHECK(j.at("splits").at("train").at("sources").at("in/pairs.jsonl").at("documents") == 2);
  const RunResult text = run({"eddy-shard", "inspect", i.out});
  CHECK(has(text.out, "train: 3 documents"));
  CHECK(has(text.out, "every file verified"));

  const RunResult sample = run({"eddy-shard", "sample", i.out, "--n", "5"});
  CHECK(sample.status == 0);
  CHECK(has(sample.out,
            "⟦<｜begin▁of▁sentence｜><｜User｜>the sum?<｜Assistant｜>⟧<think>\nprimes\n</think>\n\nthe "
            "sum<｜end▁of▁sentence｜>"));
  const RunResult lines = run({"eddy-shard", "sample", i.out, "--json"});
  CHECK(has(lines.out, "\"source\":\"in/a.md\""));
}

TEST_CASE("unusable arguments and input end with status 2 and name what is wrong") {
  const Inputs i;
  const auto refused = [&](std::vector<std::string> command, const std::string& part) {
    const RunResult r = run(std::move(command));
    INFO(r.err);
    CHECK(r.status == 2);
    CHECK(has(r.err, part));
    CHECK_FALSE(fs::exists(i.out));
  };
  refused({"eddy-shard", "--input", i.in + "/none", "--tokenizer", i.tokenizer, "--out", i.out}, "in/none");
  refused({"eddy-shard", "--input", i.in, "--tokenizer", i.in + "/a.md", "--out", i.out}, "a.md");
  refused({"eddy-shard", "--input", i.in, "--tokenizer", i.tokenizer + "x", "--out", i.out}, "tokenizer.jsonx");
  refused(i.command({"--split.validaton", "0.1"}), "split.validation");
  refused(i.command({"--split.test", "2"}), "split.test");
  refused({"eddy-shard", "--input", i.in, "--out", i.out}, "tokenizer");
  refused({"eddy-shard", "inspect", i.out}, "there is no such directory");
}

TEST_CASE("messages name the file and what to do, in words and not in a library's codes") {
  const Inputs i;
  const auto told = [&](std::vector<std::string> command, std::vector<std::string> parts) {
    const RunResult r = run(std::move(command));
    INFO(r.err);
    CHECK(r.status == 2);
    for (const std::string& part : parts) CHECK(has(r.err, part));
    for (const char* code : {"json.exception", "filesystem error", "std::", "type_error"})
      CHECK_FALSE(has(r.err, code));
  };
  const std::string file = (i.dir / "x.json").string();
  for (const char* text :
       {"", "{\"model\": {}", R"({"model": {"type": 1}})", R"({"added_tokens": [1], "model": {}})"}) {
    write_file(file, text);
    told({"eddy-shard", "--input", i.in, "--tokenizer", file, "--out", i.out}, {"x.json"});
    told({"eddy-shard", "tokenize", "--tokenizer", file, "--jsonl", i.in + "/pairs.jsonl"}, {"x.json"});
  }
  write_file(file, R"({"abstract": [{"prompt": 1}]})");
  told(i.command({"--pairs.kinds", "abstract", "--pairs.templates", file}), {"x.json", "abstract"});
  write_file(file, "[1,");
  told(i.command({"--decontaminate.files", file}), {"x.json", "line 1"});
  told({"eddy-shard", "inspect", std::string(300, 'n')}, {"no such directory of shards"});
  REQUIRE(run(i.command()).status == 0);
  for (const char* text : {"{}", "[]", R"({"format": "eddy-shard", "schema_version": 1, "tokenizer": {"xxh3": 5}})"}) {
    write_file(i.dir / "out" / "manifest.json", text);
    told({"eddy-shard", "inspect", i.out}, {"manifest.json", "make the shards again"});
  }
}

TEST_CASE("under mpiexec: one message for all ranks, and shards by both") {
  const Inputs i;
  const RunResult missing =
      run({"eddy-shard", "--input", i.in + "/none", "--tokenizer", i.tokenizer, "--out", i.out}, 2);
  INFO(missing.err);
  CHECK(missing.status == 2);
  CHECK(has(missing.err, "in/none"));
  CHECK(missing.err.find("in/none") == missing.err.rfind("in/none"));
  REQUIRE(run(i.command({"--shard-tokens", "10"}), 2).status == 0);
  CHECK(fs::exists(i.dir / "out" / "train-00002.h5"));
  CHECK(run({"eddy-shard", "inspect", i.out}).status == 0);
}

TEST_CASE("damaged shards and another tokenizer are refused") {
  const Inputs i;
  REQUIRE(run(i.command()).status == 0);
  const fs::path shard = i.dir / "out" / "train-00000.h5";
  const std::string good = read_file(shard);
  write_file(i.dir / "other.json", eddy_test::tokenizer_json(280));
  const RunResult other = run({"eddy-shard", "sample", i.out, "--tokenizer", (i.dir / "other.json").string()});
  CHECK(other.status == 2);
  CHECK(has(other.err, "was made with the tokenizer"));

  std::string flipped = good;
  flipped[good.size() - 10] = static_cast<char>(flipped[good.size() - 10] ^ 4);
  write_file(shard, flipped);
  const RunResult damaged = run({"eddy-shard", "inspect", i.out});
  CHECK(damaged.status == 2);
  CHECK(has(damaged.err, "train-00000.h5"));
  write_file(shard, good.substr(0, good.size() / 2));
  const RunResult cut = run({"eddy-shard", "inspect", i.out});
  CHECK(cut.status == 2);
  CHECK(has(cut.err, "truncated"));
  write_file(shard, std::string(good.size(), 'x'));
  const RunResult none = run({"eddy-shard", "inspect", i.out});
  CHECK(none.status == 2);
  CHECK(has(none.err, "cannot open it as HDF5"));
}

TEST_CASE("a full disk leaves the old shards, and no new name") {
  const Inputs i;
  const auto limited = [&](const std::string& blocks) {
    std::string line = "trap '' XFSZ; ulimit -f " + blocks + "; exec \"$0\" \"$@\"";
    auto command = i.command({"--overwrite"});
    const char* bin = std::getenv("EDDY_BIN_DIR");
    command[0] = (fs::path(bin ? bin : "bin") / command[0]).string();
    command.insert(command.begin(), {"/bin/sh", "-c", line});
    return run(command);
  };
  std::string big;
  for (int n = 0; n < 20000; ++n) big += "line " + std::to_string(n) + "\n";
  write_file(i.dir / "in" / "big.txt", big);
  const RunResult first = limited("64");  // blocks of 512 bytes
  INFO(first.err);
  CHECK(first.status == 1);
  CHECK(has(first.err, "cannot write"));
  CHECK_FALSE(fs::exists(i.out));
  fs::remove(i.dir / "in" / "big.txt");
  REQUIRE(run(i.command()).status == 0);
  const std::string manifest = read_file(i.dir / "out" / "manifest.json"),
                    shard = read_file(i.dir / "out" / "train-00000.h5");
  write_file(i.dir / "in" / "big.txt", big);
  CHECK(limited("64").status == 1);
  CHECK(read_file(i.dir / "out" / "manifest.json") == manifest);
  CHECK(read_file(i.dir / "out" / "train-00000.h5") == shard);
  CHECK_FALSE(fs::exists(i.dir / "out" / ".partial"));
  CHECK(limited("unlimited").status == 0);
}

TEST_CASE("a tokenizer.json that is not the shards' own is found by inspect") {
  const Inputs i;
  REQUIRE(run(i.command()).status == 0);
  const fs::path file = i.dir / "out" / "tokenizer.json";
  const auto refused = [&](const std::string& part) {
    const RunResult r = run({"eddy-shard", "inspect", i.out});
    INFO(r.err);
    CHECK(r.status == 2);
    CHECK(has(r.err, "out/tokenizer.json"));
    CHECK(has(r.err, part));
  };
  write_file(file, eddy_test::tokenizer_json(280));
  refused("was made with the tokenizer");
  fs::remove(file);
  refused("missing");
  CHECK(run({"eddy-shard", "inspect", i.out, "--verify=false"}).status == 0);
  write_file(file, eddy_test::tokenizer_json());
  CHECK(run({"eddy-shard", "inspect", i.out}).status == 0);
}

TEST_CASE("the same command again says that it is complete; another is refused") {
  const Inputs i;
  REQUIRE(run(i.command()).status == 0);
  const std::string manifest = read_file(i.dir / "out" / "manifest.json");
  for (const int ranks : {0, 2}) {
    const RunResult again = run(i.command(), ranks);
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(has(again.err, "out: complete, by this very command"));
    CHECK(has(again.err, "train: 3 documents"));
  }
  CHECK(read_file(i.dir / "out" / "manifest.json") == manifest);
  const RunResult other = run(i.command({"--shard-tokens", "7"}));
  CHECK(other.status == 2);
  CHECK(has(other.err, "a complete build by another command"));
  CHECK(has(other.err, "give --overwrite"));
  write_file(i.dir / "in" / "b.md", "another document of the sums");
  CHECK(run(i.command()).status == 2);  // other input
}

TEST_CASE("what another program keeps in .partial stays there") {
  const Inputs i;
  const fs::path mine = fs::path(i.out) / ".partial" / "mine";
  fs::create_directories(mine.parent_path());
  write_file(mine, "precious");
  for (const auto& more : {std::vector<std::string>{}, {"--overwrite"}}) {
    const RunResult refused = run(i.command(more));
    CHECK(refused.status == 2);
    CHECK(has(refused.err, ".partial: it is not what a run of eddy-shard leaves there"));
    CHECK(read_file(mine) == "precious");
  }
  fs::remove(mine);
  CHECK(run(i.command()).status == 0);  // an empty one is what a run killed at its beginning leaves
}

TEST_CASE("a fold without folds is refused") {
  const Inputs i;
  for (const char* fold : {"0", "1"}) {
    const RunResult r = run(i.command({"--fold", fold}));
    CHECK(r.status == 2);
    CHECK(has(r.err, "without folds"));
    CHECK_FALSE(fs::exists(i.out));
  }
  CHECK(run(i.command({"--folds", "2", "--fold", "0"})).status == 0);
}

TEST_CASE("train-tokenizer leaves files that are there alone") {
  const Inputs i;
  const auto train = [&](const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> c{"eddy-shard", "train-tokenizer", "--input", i.in, "--vocab-size", "265", "--out", out};
    c.insert(c.end(), more.begin(), more.end());
    return run(c);
  };
  const std::string mine = (i.dir / "mine.json").string();
  write_file(mine, "mine");
  const RunResult refused = train(mine);
  CHECK(refused.status == 2);
  CHECK(has(refused.err, "mine.json: it is there already"));
  CHECK(read_file(mine) == "mine");
  CHECK(train(i.in, {"--overwrite"}).status == 2);  // a folder
  CHECK(train(mine, {"--overwrite"}).status == 0);
  CHECK(has(read_file(mine), "\"model\""));
  CHECK(train((i.dir / "new.json").string()).status == 0);
}

TEST_CASE("two at a time do not write into one directory") {
  const Inputs i;
  for (int d = 0; d < 40; ++d)
    write_file(i.dir / "in" / ("long" + std::to_string(d) + ".md"),
               eddy_test::made_words(static_cast<std::uint64_t>(d), 9000));
  const char* bin = std::getenv("EDDY_BIN_DIR");
  std::vector<std::string> words = i.command();
  words[0] = (fs::path(bin ? bin : "bin") / words[0]).string();
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  const pid_t first = ::fork();
  REQUIRE(first >= 0);
  if (first == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (!fs::exists(i.out + "/.partial/run") && ::waitpid(first, &status, WNOHANG) == 0) ::usleep(200);
  ::kill(first, SIGSTOP);  // it shall not end before the others have been refused
  REQUIRE(::waitpid(first, &status, WUNTRACED) == first);
  REQUIRE(WIFSTOPPED(status));
  CHECK(fs::exists(i.out + ".lock"));
  for (const auto& [more, ranks] : {std::pair(std::vector<std::string>{}, 0), {{"--overwrite"}, 0}, {{}, 2}}) {
    const RunResult second = run(i.command(more), ranks);
    INFO(second.err);
    CHECK(second.status == 2);
    CHECK(has(second.err, "in use by a live run"));
    CHECK(has(second.err, "process " + std::to_string(first)));
    CHECK(has(second.err, i.out + ".lock"));
    CHECK(second.err.find("in use by") == second.err.rfind("in use by"));
  }
  CHECK(fs::exists(i.out + "/.partial/run"));
  ::kill(first, SIGCONT);
  REQUIRE(::waitpid(first, &status, 0) == first);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK_FALSE(fs::exists(i.out + ".lock"));
  CHECK(run({"eddy-shard", "inspect", i.out}).status == 0);

  const pid_t killed = ::fork();  // the lock of one that was killed is taken over
  if (killed == 0) {
    words.push_back("--overwrite");
    argv.clear();
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  for (int looks = 0; !fs::exists(i.out + "/.partial/run") && looks < 100000; ++looks) ::usleep(200);
  ::kill(killed, SIGKILL);
  REQUIRE(::waitpid(killed, &status, 0) == killed);
  REQUIRE(fs::exists(i.out + ".lock"));
  CHECK(run(i.command({"--overwrite"})).status == 0);
}
