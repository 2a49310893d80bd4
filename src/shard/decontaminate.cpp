#include "shard/decontaminate.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"

namespace eddy::shard {
using nlohmann::json;

Decontaminator::Decontaminator(const DecontaminateOptions& options) : overlap_(options.words) {
  if (options.words == 0) fail_input("decontaminate.words must be at least 1");
  for (const std::string& file : options.files) {
    const std::filesystem::path path(file);
    const std::string name = path.filename().string(), content = io::read_file(path);
    std::uint64_t texts = 0;
    const auto take = [&](const json& object, std::size_t number) {
      bool long_enough = false;
      const auto item = static_cast<std::uint32_t>(items_.size());
      const std::function<void(const json&)> walk = [&](const json& j) {
        if (j.is_string()) {
          ++texts;
          long_enough = overlap_.add(j.get_ref<const std::string&>(), item) || long_enough;
        } else if (j.is_structured()) {
          for (const json& e : j) walk(e);
        }
      };
      walk(object);
      items_.push_back(fmt::format("{}:{}", name, number));
      too_short_ += !long_enough;
    };
    const std::size_t first = content.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && content[first] == '[') {
      const auto list = parse_json<json>(content, file);
      for (std::size_t i = 0; i < list.size(); ++i) take(list[i], i + 1);
    } else {
      std::size_t number = 0;
      for (std::size_t at = 0; at < content.size();) {
        const std::size_t end = std::min(content.find('\n', at), content.size());
        const std::string_view line = std::string_view(content).substr(at, end - at);
        at = end + 1;
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        take(parse_json<json>(line, fmt::format("{}:{}", file, number)), number);
      }
    }
    if (texts == 0) fail_input("{}: holds no text to decontaminate against", file);
  }
}

std::optional<Decontaminator::Hit> Decontaminator::find(std::string_view text) {
  const auto hit = overlap_.find(text);
  if (!hit) return std::nullopt;
  return Hit{items_[hit->item], hit->words};
}

}  // namespace eddy::shard
