#include "train/options.h"

#include "base/error.h"
#include "catch.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using eddy_test::lacks;
using eddy_test::refusal;

namespace {
train::Config parsed(const std::vector<std::string>& arguments) {
  train::Config config;
  Options options("eddy-train", "", "");
  config.add_to(options);
  if (!options.parse(arguments)) FAIL("help was asked for");
  return config;
}
const std::vector<std::string> kRun{"--model.config=tiny", "--data.train=d", "--run.dir=r", "--train.steps=3",
                                    "--train.global_batch=4"};
std::vector<std::string> run_with(const std::string& more) {
  auto arguments = kRun;
  arguments.push_back(more);
  return arguments;
}
}  // namespace

TEST_CASE("the options that scripts rely on") {
  const auto c =
      parsed({"--model.config=x",   "--model.init=random",   "--data.train=a:0.7,b:0.3", "--data.validation=v",
              "--parallel.tp=2",    "--parallel.ep=4",       "--parallel.pp=2",          "--parallel.cp=1",
              "--train.seq_len=64", "--train.micro_batch=2", "--train.global_batch=8",   "--train.epochs=1.5",
              "--optim.lr=1e-3",    "--optim.schedule=wsd",  "--optim.warmup_steps=7",   "--train.seed=9",
              "--run.dir=r",        "--run.device=cpu",      "--checkpoint.every=10",    "--checkpoint.resume=never"});
  CHECK_NOTHROW(c.validate());
  CHECK(c.parallel.ep == 4);
  CHECK(c.train.epochs == 1.5);
  CHECK(c.optim.make_schedule(100).kind == optim::ScheduleKind::wsd);
  CHECK(c.optim.make_schedule(100).warmup_steps == 7);
}

TEST_CASE("what a run needs is asked for by name") {
  CHECK_NOTHROW(parsed(kRun).validate());
  for (const std::string key : {"model.config", "data.train", "run.dir", "train.global_batch"}) {
    auto without = kRun;
    std::erase_if(without, [&](const std::string& a) { return a.starts_with("--" + key + "="); });
    CHECK(lacks(refusal([&] { parsed(without).validate(); }), {key}) == "");
  }
  CHECK(lacks(refusal([&] { parsed(run_with("--train.steps=0")).validate(); }), {"train.epochs"}) == "");
  CHECK(lacks(refusal([&] { parsed(run_with("--train.epochs=2")).validate(); }), {"train.epochs"}) == "");
  CHECK(lacks(refusal([&] { parsed(run_with("--run.device=cuda")).validate(); }), {"CUDA"}) == "");
  CHECK(lacks(refusal([&] { parsed(run_with("--parallel.world=8")).validate(); }), {"--check"}) == "");
  CHECK_NOTHROW(parsed({"--check", "--model.config=tiny", "--parallel.world=8"}).validate());
}

TEST_CASE("stripes and staging of checkpoints") {
  const auto c = parsed({"--checkpoint.stripe_count=-1", "--checkpoint.stripe_size=4MiB"}).checkpoint.stripes();
  CHECK(c.count == -1);
  CHECK(c.size == std::uint64_t{4} << 20);
  CHECK_FALSE(parsed(kRun).checkpoint.stripes().given());
  for (const std::string size : {"1000", "4MB", "8GiB", "many"})
    CHECK(lacks(refusal([&] { parsed(run_with("--checkpoint.stripe_size=" + size)).validate(); }),
                {"checkpoint.stripe_size", size}) == "");
  CHECK(lacks(refusal([] { parsed({"--checkpoint.stripe_count=-2"}); }), {"checkpoint.stripe_count"}) == "");
  auto both = run_with("--checkpoint.staging=/scratch");
  CHECK_NOTHROW(parsed(both).validate());
  both.push_back("--checkpoint.async=off");
  CHECK(lacks(refusal([&] { parsed(both).validate(); }), {"checkpoint.staging", "checkpoint.async"}) == "");
  CHECK(parsed({"--checkpoint.every=5"}).checkpoint.copies(false));
  CHECK_FALSE(parsed({"--checkpoint.every=5", "--checkpoint.staging=x"}).checkpoint.copies(true));
}

TEST_CASE("impossible values name key and what is allowed") {
  CHECK(lacks(refusal([] { parsed({"--optim.lr=fast"}); }), {"optim.lr"}) == "");
  CHECK(lacks(refusal([] { parsed({"--optim.beta1=1"}); }), {"optim.beta1"}) == "");
  CHECK(lacks(refusal([] { parsed({"--train.global_batch=2147483647"}); }), {"global_batch", "1048576"}) == "");
  CHECK(lacks(refusal([] { parsed({"--train.epochs=1e300"}); }), {"train.epochs", "1000000"}) == "");
  CHECK(lacks(refusal([] { parsed({"--train.recompute=some"}); }), {"selective"}) == "");
  CHECK(lacks(refusal([] { parsed({"--optim.learning_rate=1"}); }), {"optim.learning_rate"}) == "");
}

TEST_CASE("a global batch that replicas cannot share names the nearest") {
  train::TrainOptions t;
  t.micro_batch = 2;
  t.global_batch = 12;
  CHECK(t.micro_batches(3) == 2);
  CHECK(t.micro_batches(1) == 6);
  CHECK(lacks(refusal([&] { t.micro_batches(4); }), {"8 and 16"}) == "");
  t.global_batch = 2;
  CHECK(lacks(refusal([&] { t.micro_batches(4); }), {": 8"}) == "");
}

TEST_CASE("a model's configuration is found by path and by name") {
  const eddy_test::TempDir dir;
  eddy_test::write_file(dir / "c.json", "{}");
  CHECK(train::find_model_config((dir / "c.json").string()) == (dir / "c.json").string());
  CHECK(std::filesystem::exists(train::find_model_config("deepseek-r1")));
  CHECK(lacks(refusal([] { train::find_model_config("deepseek-r9"); }), {"deepseek-r1"}) == "");
}
