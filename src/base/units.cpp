#include "base/units.h"

#include <cctype>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace eddy {

std::string bytes_text(double bytes) {
  static const char* names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int i = 0;
  while (bytes >= 1024 && i < 5) {
    bytes /= 1024;
    ++i;
  }
  return i == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.2f} {}", bytes, names[i]);
}

std::string duration(double s) {
  if (!std::isfinite(s)) return "?";
  if (s < 60) return fmt::format("{:.1f}s", s);
  const auto t = static_cast<long long>(s + 0.5);
  if (t < 3600) return fmt::format("{}m{:02}s", t / 60, t % 60);
  return fmt::format("{}h{:02}m", t / 3600, t % 3600 / 60);
}

std::string with_commas(std::int64_t value) {
  std::string s = std::to_string(value < 0 ? -value : value);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), ",");
  return value < 0 ? "-" + s : s;
}

std::uint64_t parse_bytes(const std::string& text, const std::string& what) {
  char* end = nullptr;
  const double v = std::strtod(text.c_str(), &end);
  std::string unit(end);
  while (!unit.empty() && std::isspace(static_cast<unsigned char>(unit.front()))) unit.erase(0, 1);
  const std::pair<const char*, double> units[] = {
      {"", 1},      {"B", 1},       {"KB", 1e3},       {"MB", 1e6},          {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 1024.}, {"MiB", 1048576.}, {"GiB", 1073741824.}, {"TiB", 1099511627776.}};
  for (const auto& [name, factor] : units)
    if (end != text.c_str() && unit == name && v >= 0 && v * factor < 1.8e19)
      return static_cast<std::uint64_t>(v * factor);
  fail_input("{}: '{}' is not a size; write for example 5GB or 512MiB", what, text);
}

}  // namespace eddy
