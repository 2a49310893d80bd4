// Options: one declaration gives parsing, checks, help and the resolved INI file.
#include "base/options.h"

#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "catch.h"
#include "support.h"

using eddy::Options;
using List = std::vector<std::string>;

namespace {

/// The options of an imagined program, with a variable for each type.
struct Program {
  bool json = false, check = false;
  int tp = 1;
  std::int64_t tokens = 1000;
  std::uint64_t seed = 7;
  double lr = 1e-3;
  std::string schedule = "cosine", dir;
  List input{"preset"};
  Options options{"eddy-x", "--data.input PATH...", "Does nothing."};

  Program() {
    options.add("json", &json, "print the result as JSON");
    options.add("check", &check, "only check", {.command_line_only = true});
    options.add("parallel.tp", &tp, "ranks that share a layer", {.min = 1, .max = 8});
    options.add("train.tokens", &tokens, "tokens to train on");
    options.add("train.seed", &seed, "seed");
    options.add("optim.lr", &lr, "learning rate", {.min = -1});
    options.add("optim.schedule", &schedule, "shape of the rate", {.choices = {"cosine", "constant"}});
    options.add("run.dir", &dir, "run directory");
    options.add("data.input", &input, "documents");
  }
  /// The message of the Error (status 2) that parsing must throw.
  std::string error(const List& arguments) {
    try {
      options.parse(arguments);
    } catch (const eddy::Error& e) {
      CHECK(e.status() == eddy::Exit::unusable);
      return e.what();
    }
    FAIL("no error was thrown");
    return "";
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What `call` writes on standard output.
template <class F>
std::string printed(F call) {
  eddy_test::TempDir dir;
  std::fflush(stdout);
  const int saved = dup(1);
  REQUIRE(std::freopen((dir / "out").c_str(), "w", stdout) != nullptr);
  call();
  std::fflush(stdout);
  dup2(saved, 1);
  close(saved);
  return eddy_test::read_file(dir / "out");
}

}  // namespace

TEST_CASE("both spellings, every type") {
  Program p;
  CHECK(p.options.parse(List{"--parallel.tp=4", "--train.tokens", "-5", "--train.seed=18446744073709551615",
                             "--optim.lr=-1", "--optim.schedule", "constant", "--run.dir=a b", "--json", "--data.input",
                             "x", "y z"}));
  CHECK(p.tp == 4);
  CHECK(p.tokens == -5);
  CHECK(p.seed == 18446744073709551615ull);
  CHECK(p.lr == -1);
  CHECK(p.schedule == "constant");
  CHECK(p.dir == "a b");
  CHECK(p.json);
  CHECK(p.input == List{"x", "y z"});
  CHECK(p.options.given("optim.lr"));
  CHECK_FALSE(p.options.given("check"));
}

TEST_CASE("defaults stay where nothing is said") {
  Program p;
  CHECK(p.options.parse(List{}));
  CHECK(p.tp == 1);
  CHECK(p.input == List{"preset"});
  CHECK_FALSE(p.options.given("parallel.tp"));
}

TEST_CASE("argc and argv leave the program's name out") {
  Program p;
  const char* argv[] = {"eddy-x", "--parallel.tp=2"};
  CHECK(p.options.parse(2, argv));
  CHECK(p.tp == 2);
}

TEST_CASE("flags") {
  for (const auto& [argument, value] : {std::pair("--json=true", true), {"--json=false", false}, {"--json", true}}) {
    Program p;
    p.json = !value;
    CHECK(p.options.parse(List{argument}));
    CHECK(p.json == value);
  }
  Program p;
  CHECK(has(p.error({"--json=maybe"}), "json = 'maybe' is not allowed; allowed: true or false"));
}

TEST_CASE("a value may begin with dashes, be empty, hold an equals sign") {
  Program p;
  p.dir = "preset";
  CHECK(p.options.parse(List{"--run.dir=--a=b"}));
  CHECK(p.dir == "--a=b");
  CHECK(p.options.parse(List{"--run.dir=", "--data.input="}));
  CHECK(p.dir.empty());
  CHECK(p.input.empty());
  CHECK(has(p.error({"--parallel.tp="}), "parallel.tp = ''"));
}

TEST_CASE("said twice on the command line: the last one counts, lists grow") {
  Program p;
  CHECK(p.options.parse(List{"--parallel.tp=2", "--data.input=a", "--parallel.tp=4", "--data.input", "b", "c"}));
  CHECK(p.tp == 4);
  CHECK(p.input == List{"a", "b", "c"});
  CHECK(p.options.parse(List{"--run.dir=x", "--run.dir=", "--data.input=a", "--data.input=", "--data.input=b"}));
  CHECK(p.dir.empty());
  CHECK(p.input == List{"b"});
  CHECK(p.options.parse(List{"--run.dir=", "--run.dir=x", "--data.input=a", "--data.input="}));
  CHECK(p.dir == "x");
  CHECK(p.input.empty());
}

TEST_CASE("positional arguments") {
  Program p;
  p.options.positional("run.dir");
  p.options.positional("data.input");
  CHECK(p.options.parse(List{"first", "--json", "second", "third"}));
  CHECK(p.dir == "first");
  CHECK(p.input == List{"second", "third"});
  CHECK(has(p.error({"-j"}), "unexpected argument '-j'"));
  CHECK(has(Program().error({"stray"}), "unexpected argument 'stray'"));
  CHECK_THROWS_AS(p.options.positional("nothing"), std::logic_error);
  CHECK_THROWS_AS(p.options.add("json", &p.json, "again"), std::logic_error);
}

TEST_CASE("errors name the place, the key, what is allowed") {
  CHECK(has(Program().error({"--optim.lrr=1"}),
            "command line: unknown option 'optim.lrr'; the nearest known one is 'optim.lr'"));
  CHECK(has(Program().error({"--tp", "2"}), "'tp'; the nearest known one is 'parallel.tp'"));
  CHECK(has(Program().error({"--optim.lrr="}), "unknown option 'optim.lrr'"));
  CHECK(has(Program().error({"--parallel.t=2"}), "unknown option 'parallel.t'"));  // no guessing from a beginning
  CHECK_FALSE(has(Program().error({"--qqqqqqqqqq=2"}), "nearest"));
  CHECK(has(Program().error({"--parallel.tp=9"}), "parallel.tp = '9' is not allowed; allowed: integer, 1 to 8"));
  CHECK(has(Program().error({"--parallel.tp=2.5"}), "integer, 1 to 8"));
  CHECK(has(Program().error({"--parallel.tp=99999999999"}), "'99999999999'"));
  CHECK(has(Program().error({"--train.tokens=many"}), "allowed: integer"));
  CHECK(has(Program().error({"--train.seed=-1"}), "allowed: integer from 0"));
  CHECK(has(Program().error({"--optim.lr=-1.5"}), "allowed: number, at least -1"));
  CHECK(has(Program().error({"--optim.lr=nan"}), "number"));
  CHECK(has(Program().error({"--optim.lr=inf"}), "number"));
  CHECK(has(Program().error({"--optim.lr=1e-3x"}), "number"));
  CHECK(has(Program().error({"--optim.schedule=cosin"}), "allowed: cosine, constant"));
  CHECK(has(Program().error({"--run.dir"}), "run.dir"));
  CHECK(has(Program().error({"--run.dir", "--optim.lr=1"}), "'run.dir' has no value before --optim.lr=1"));
  CHECK(has(Program().error({"--data.input", "--json"}), "'data.input' has no value"));
  CHECK(has(Program().error({"--data.input", "x", "--jsn"}), "'jsn'"));
}

TEST_CASE("required options") {
  Options options("eddy-x", "", "");
  std::string out;
  options.add("out", &out, "where to write", {.required = true});
  CHECK_THROWS_WITH(options.parse(List{}), "--out must be given (where to write)");
  CHECK(options.parse(List{"--out=x"}));
}

TEST_CASE("an INI file, and the command line over it") {
  eddy_test::TempDir dir;
  const std::string file = (dir / "run.ini").string();
  eddy_test::write_file(
      file, "json = true\nrun.dir = here\n[parallel]\ntp = 2\n[data]\ninput = a\ninput = b c\n[optim]\nlr=-0.5\n");
  Program p;
  CHECK(p.options.parse(List{"--config", file, "--parallel.tp=4"}));
  CHECK(p.json);
  CHECK(p.dir == "here");
  CHECK(p.tp == 4);
  CHECK(p.lr == -0.5);
  CHECK(p.input == List{"a", "b c"});
  CHECK(p.options.given("run.dir"));

  eddy_test::write_file(dir / "more.ini", "[parallel]\ntp = 8\n[data]\ninput =\n");
  Program q;
  CHECK(q.options.parse(List{"--config=" + file, "--config=" + (dir / "more.ini").string()}));
  CHECK(q.tp == 8);
  CHECK(q.input.empty());
}

TEST_CASE("errors in an INI file name file and line") {
  eddy_test::TempDir dir;
  const std::string file = (dir / "run.ini").string();
  const auto error = [&](const std::string& text) {
    eddy_test::write_file(file, text);
    return Program().error({"--config", file});
  };
  CHECK(has(error("[optim]\nlrr = 1\n"),
            file + ", line 2: unknown option 'optim.lrr'; the nearest known one is 'optim.lr'"));
  CHECK(has(error("[parallel]\n\ntp = two\n"),
            file + ", line 3: parallel.tp = 'two' is not allowed; allowed: integer, 1 to 8"));
  CHECK(has(error("[parallel]\ntp = 2\ntp = 4\n"), "line 3: 'parallel.tp' was already given in line 2"));
  CHECK(has(error("check = true\n"), "'check' may only be given on the command line"));
  CHECK(has(error("config = other.ini\n"), "'config' may only be given on the command line"));
  CHECK(has(error("nonsense\n"), "line 1: 'nonsense' is neither"));
  CHECK(has(Program().error({"--config", (dir / "none.ini").string()}), "none.ini"));
  CHECK(has(Program().error({"--config", dir.path().string()}), "cannot be read"));
}

TEST_CASE("ini() is read back to the same values") {
  Program p;
  const List names{"plain", " blanks ", "a # b", "#start", "q\"uote\\", "two\nlines", ";", "C#;x"};
  CHECK(p.options.parse(List{"--optim.lr=0.1", "--train.seed=12345678901234567890", "--json", "--check"}));
  p.input = names;
  p.dir = "\"quoted\"";
  p.lr = 0.1 + 0.2;
  eddy_test::TempDir dir;
  eddy_test::write_file(dir / "config.ini", p.options.ini());
  Program q;
  CHECK(q.options.parse(List{"--config", (dir / "config.ini").string()}));
  CHECK(q.input == names);
  CHECK(q.dir == p.dir);
  CHECK(q.lr == p.lr);
  CHECK(q.seed == p.seed);
  CHECK(q.json);
  CHECK_FALSE(q.check);
  CHECK(q.options.ini() == p.options.ini());
  CHECK_FALSE(has(p.options.ini(), "check"));
  CHECK_FALSE(has(p.options.ini(), "help"));
}

TEST_CASE("an empty list is read back as an empty list") {
  Program p;
  p.input.clear();
  eddy_test::TempDir dir;
  eddy_test::write_file(dir / "config.ini", p.options.ini());
  Program q;
  CHECK(q.options.parse(List{"--config", (dir / "config.ini").string()}));
  CHECK(q.input.empty());
}

TEST_CASE("help and version are printed, and nothing else happens") {
  Program p;
  bool more = true;
  const std::string help = printed([&] { more = p.options.parse(List{"--help", "--parallel.tp=99"}); });
  CHECK_FALSE(more);
  CHECK(help == p.options.help());
  CHECK(has(help, "usage: eddy-x --data.input PATH..."));
  CHECK(has(help, "[parallel]\n  --parallel.tp\n      ranks that share a layer (integer, 1 to 8; default 1)"));
  CHECK(has(help, "(cosine, constant; default cosine)"));
  CHECK(has(help, "(number, at least -1; default 0.001)"));
  const std::string version = printed([&] { more = p.options.parse(List{"--version"}); });
  CHECK_FALSE(more);
  CHECK(version.rfind("eddy-x " EDDY_VERSION "\n", 0) == 0);
}
