#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/options.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "convert_contents.h"
#include "convert_statistics.h"
#include "hf/fp8.h"
#include "hf/safetensors.h"

namespace eddy::convert {
namespace {

double value_at(const std::vector<char>& data, Dtype dtype, std::size_t i) {
  const auto as = [&](auto v) {
    std::memcpy(&v, data.data() + i * sizeof v, sizeof v);
    return v;
  };
  switch (dtype) {
    case Dtype::f32:
      return static_cast<double>(as(0.0f));
    case Dtype::f64:
      return as(0.0);
    case Dtype::bf16:
      return static_cast<double>(bf16_to_float(as(std::uint16_t{0})));
    case Dtype::i32:
      return as(std::int32_t{0});
    case Dtype::i64:
      return static_cast<double>(as(std::int64_t{0}));
    default:
      return as(std::uint8_t{0});  // FP8: its bits
  }
}

/// The largest |a - b|; infinite where only one is a number, or bits differ that values do not show.
double largest_difference(const Contents& a, const Contents& b, const std::string& name) {
  const Item &x = a.items().at(name), &y = b.items().at(name);
  const std::int64_t rows = x.shape.empty() ? 1 : x.shape[0], row = rows ? x.elements() / rows : 0;
  const auto most =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(kPieceBytes) / 8 / std::max<std::int64_t>(1, row));
  double largest = 0;
  if ((x.dtype == Dtype::f8e4m3 || y.dtype == Dtype::f8e4m3) && x.shape.size() == 2) {  // values, with their scales
    std::vector<float> p, q;
    constexpr std::int64_t kRows = 8 * hf::kFp8Block;
    for (std::int64_t first = 0; first < rows; first += kRows) {
      read_as_f32(a, name, first, std::min(kRows, rows - first), p);
      read_as_f32(b, name, first, std::min(kRows, rows - first), q);
      for (std::size_t i = 0; i < p.size(); ++i) {
        const double d = std::abs(static_cast<double>(p[i]) - static_cast<double>(q[i]));
        if (std::isnan(d) && !(std::isnan(p[i]) && std::isnan(q[i]))) return std::numeric_limits<double>::infinity();
        if (!std::isnan(d)) largest = std::max(largest, d);
      }
    }
    return largest;
  }
  std::vector<char> left, right;
  for (std::int64_t first = 0; first < rows && row > 0; first += most) {
    const std::int64_t n = std::min(most, rows - first);
    const auto count = static_cast<std::size_t>(n * row);
    left.resize(count * size_of(x.dtype));
    right.resize(count * size_of(y.dtype));
    a.read(name, first, n, left.data());
    b.read(name, first, n, right.data());
    if (x.dtype == y.dtype && left == right) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const double p = value_at(left, x.dtype, i), q = value_at(right, y.dtype, i);
      if (p == q || (std::isnan(p) && std::isnan(q))) continue;
      const double d = std::abs(p - q);
      largest = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(largest, d);
    }
  }
  return largest;
}

struct Difference {
  std::string name, what;
  double largest;  ///< |a - b|; negative: not comparable
};

std::vector<Difference> compare(const Contents& a, const Contents& b) {
  std::vector<Difference> out;
  for (const auto& [name, item] : a.items()) {
    const auto other = b.items().find(name);
    const std::string matrix = hf::weight_of_scale(name);
    if (a.has(matrix) && b.has(matrix) && other == b.items().end()) continue;  // FP8 beside another dtype
    if (other == b.items().end()) {
      out.push_back({name, "only in the first", -1});
    } else if (other->second.shape != item.shape) {
      out.push_back({name, hf::shape_text(item.shape) + " and " + hf::shape_text(other->second.shape), -1});
    } else if (const double d = largest_difference(a, b, name); d > 0) {
      out.push_back({name, fmt::format("largest difference {:.6g}", d), d});
    }
  }
  for (const auto& [name, item] : b.items())
    if (!a.has(name) && !(a.has(hf::weight_of_scale(name)) && b.has(hf::weight_of_scale(name))))
      out.push_back({name, "only in the second", -1});
  return out;
}

}  // namespace

int diff(comm::Session& session, const Arguments& arguments) {
  std::vector<std::string> paths;
  bool json = false;
  Options options(
      "eddy-convert diff", "A B [--json]",
      "Compares names, shapes and values of two checkpoints, Hugging Face folders or safetensors files; ends with 1 "
      "when they "
      "differ. Values are compared across data types; a checkpoint beside a folder is compared by the folder's names.");
  options.add("paths", &paths, "the two", {.required = true});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  options.positional("paths");
  if (!options.parse(arguments)) return 0;
  if (paths.size() != 2) fail_input("diff takes two paths; {} were given", paths.size());
  const bool both = Contents::is_checkpoint(paths[0]) && Contents::is_checkpoint(paths[1]);
  const auto names = both ? Contents::Names::own : Contents::Names::hugging_face;
  const Contents a(paths[0], names), b(paths[1], names);
  if (session.rank() != 0) return 0;
  const auto differences = compare(a, b);
  if (json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& d : differences)
      list.push_back({{"name", d.name},
                      {"what", d.what},
                      {"largest", d.largest < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(d.largest)}});
    fmt::print("{}\n", nlohmann::ordered_json{{"equal", differences.empty()}, {"differences", list}}.dump(1));
  } else {
    for (const auto& d : differences) fmt::print("{}: {}\n", d.name, d.what);
    fmt::print("{} of {} tensors differ\n", differences.size(), std::max(a.items().size(), b.items().size()));
  }
  return differences.empty() ? 0 : 1;
}

}  // namespace eddy::convert
