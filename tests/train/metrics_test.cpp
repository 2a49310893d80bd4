#include "train/metrics.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "support.h"

using namespace eddy;
using nlohmann::json;

TEST_CASE("a line has every key that readers rely on") {
  train::StepMetrics m;
  m.step = 3;
  m.loss = 1.5;
  auto j = json::parse(m.json());
  for (const char* key : {"step", "tokens", "loss", "mtp_loss", "lr", "grad_norm", "step_time_s", "data_wait_s",
                          "tokens_per_s", "tflops_per_rank", "mem_peak_bytes", "host_rss_bytes"})
    CHECK(j.contains(key));
  for (const char* key : {"gpu_util", "power_w", "expert_waves", "val_loss", "val_ppl"}) CHECK(!j.contains(key));
  CHECK(j.at("step") == 3);
  CHECK(j.at("mtp_loss").is_null());
  m.mtp_loss = 2;
  m.expert_load_max = 1.5;
  m.expert_load_min = 0;
  m.expert_waves = 2;
  m.val_loss = 1;
  m.val_ppl = 2.718;
  m.grad_norm = std::numeric_limits<double>::quiet_NaN();
  j = json::parse(m.json());
  CHECK(j.at("mtp_loss") == 2);
  CHECK(j.at("expert_load_max") == 1.5);
  CHECK(j.at("expert_load_min") == 0);
  CHECK(j.at("expert_waves") == 2);
  CHECK(j.at("val_ppl") == 2.718);
  CHECK(j.at("grad_norm").is_null());
}

TEST_CASE("lines are on disk when write returns, and are appended") {
  const eddy_test::TempDir dir;
  for (int start = 0; start < 2; ++start) {
    train::MetricsFile file(dir / "m.jsonl");
    train::StepMetrics m;
    m.step = start + 1;
    file.write(m);
    const std::string text = eddy_test::read_file(dir / "m.jsonl");
    CHECK(std::count(text.begin(), text.end(), '\n') == start + 1);
  }
}

TEST_CASE("lines after a step, and a torn one, are set aside") {
  const eddy_test::TempDir dir;
  const auto file = dir / "m.jsonl", aside = dir / "aside.jsonl";
  train::move_lines_after(2, file, aside);
  CHECK(!std::filesystem::exists(aside));
  eddy_test::write_file(file, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4,\"lo");
  train::move_lines_after(2, file, aside);
  CHECK(eddy_test::read_file(file) == "{\"step\":1}\n{\"step\":2}\n");
  CHECK(eddy_test::read_file(aside) == "{\"step\":3}\n{\"step\":4,\"lo\n");
  train::move_lines_after(1, file, aside);
  CHECK(eddy_test::read_file(file) == "{\"step\":1}\n");
  CHECK(eddy_test::read_file(aside) == "{\"step\":3}\n{\"step\":4,\"lo\n{\"step\":2}\n");
  train::move_lines_after(1, file, dir / "none");
  CHECK(!std::filesystem::exists(dir / "none"));
}
