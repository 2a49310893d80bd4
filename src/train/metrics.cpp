#include "train/metrics.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "io/file.h"

namespace eddy::train {

std::string StepMetrics::json() const {
  nlohmann::ordered_json j{{"step", step},
                           {"tokens", tokens},
                           {"loss", loss},
                           {"mtp_loss", nullptr},
                           {"lr", lr},
                           {"grad_norm", grad_norm},
                           {"step_time_s", step_time_s},
                           {"data_wait_s", data_wait_s},
                           {"tokens_per_s", tokens_per_s},
                           {"tflops_per_rank", tflops_per_rank},
                           {"mem_peak_bytes", mem_peak_bytes},
                           {"host_rss_bytes", host_rss_bytes}};
  const auto put = [&](const char* key, const auto& value) {
    if (value) j[key] = *value;
  };
  put("mtp_loss", mtp_loss);
  put("gpu_util", gpu_util);
  put("power_w", power_w);
  put("expert_load_max", expert_load_max);
  put("expert_load_min", expert_load_min);
  if (expert_waves) j["expert_waves"] = *expert_waves;
  j["skipped_steps"] = skipped_steps;
  put("val_loss", val_loss);
  put("val_ppl", val_ppl);
  put("ckpt_stall_s", ckpt_stall_s);
  put("ckpt_write_s", ckpt_write_s);
  put("ckpt_stage_s", ckpt_stage_s);
  put("ckpt_bytes", ckpt_bytes);
  put("ckpt_failed", ckpt_failed);
  return j.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& file) : path_(file), file_(std::fopen(file.c_str(), "ae")) {
  if (!file_) fail_run("{} cannot be written: {}", path_.string(), std::strerror(errno));
}

void MetricsFile::write(const StepMetrics& metrics) {
  const std::string line = metrics.json() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0)
    fail_run("{} cannot be written: {}", path_.string(), std::strerror(errno));
}

void move_lines_after(std::int64_t step, const std::filesystem::path& file, const std::filesystem::path& aside) {
  if (!std::filesystem::exists(file)) return;
  std::string kept, moved;
  std::istringstream lines(io::read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const bool whole = !lines.eof();  // the last line has its end
    const auto json = nlohmann::json::parse(line, nullptr, false);
    const bool keep = whole && json.is_object() && json.value("step", step + 1) <= step;
    (keep ? kept : moved) += line + "\n";
  }
  if (moved.empty()) return;
  if (std::filesystem::exists(aside)) moved = io::read_file(aside) + moved;
  io::write_file(aside, moved);
  io::write_file(file, kept);
}

}  // namespace eddy::train
