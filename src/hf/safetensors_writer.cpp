#include "hf/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "hf/safetensors.h"

namespace eddy::hf {

std::string safetensors_header(const std::vector<Declared>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::json json;
  json["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const Declared& t : tensors) {
    const std::uint64_t end = offset + bytes_of(t);
    json[t.name] = {{"dtype", safetensors_name(t.dtype)}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = json.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return out + text;
}

void sort_for_file(std::vector<Declared>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const Declared& a, const Declared& b) {
    return std::pair(size_of(b.dtype), std::string_view(a.name)) <
           std::pair(size_of(a.dtype), std::string_view(b.name));
  });
}

std::uint64_t bytes_of(const Declared& t) {
  return static_cast<std::uint64_t>(count_of(t.shape)) * size_of(t.dtype);
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<Declared>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), name_(path.string()) {
  file_.write(safetensors_header(tensors, metadata));
  expected_ = file_.size();
  for (const Declared& t : tensors) expected_ += bytes_of(t);
}

void SafetensorsWriter::write(const void* data, std::size_t bytes) {
  file_.write(data, bytes);
}

void SafetensorsWriter::commit() {
  if (file_.size() != expected_)
    fail_run("{}: {} bytes were written where the header declares {}", name_, file_.size(), expected_);
  file_.commit();
}

std::string ShardPlan::file_name(std::size_t shard) const {
  if (shards.size() == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards.size());
}

std::string ShardPlan::index() const {
  nlohmann::json json;  // ordered_json takes a time that grows with the square of the names
  json["metadata"]["total_size"] = total_bytes;
  std::map<std::string, std::string> map;
  for (std::size_t i = 0; i < shards.size(); ++i)
    for (const Declared& t : shards[i]) map[t.name] = file_name(i);
  json["weight_map"] = map;
  return json.dump(2) + "\n";
}

ShardPlan plan_shards(const std::vector<Declared>& tensors, std::uint64_t shard_bytes) {
  ShardPlan plan;
  plan.shards.emplace_back();
  std::uint64_t filled = 0;
  for (const Declared& t : tensors) {
    if (!plan.shards.back().empty() && filled + bytes_of(t) > shard_bytes) {
      plan.shards.emplace_back();
      filled = 0;
    }
    plan.shards.back().push_back(t);
    filled += bytes_of(t);
    plan.total_bytes += bytes_of(t);
  }
  return plan;
}

}  // namespace eddy::hf
