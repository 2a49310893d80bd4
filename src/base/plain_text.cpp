#include "base/plain_text.h"

#include <filesystem>

namespace eddy {

std::string plain_text(const std::exception& exception) {
  if (const auto* e = dynamic_cast<const std::filesystem::filesystem_error*>(&exception)) {
    std::string text = e->path1().string();
    if (!e->path2().empty()) text += " → " + e->path2().string();
    return text + (text.empty() ? "" : ": ") + e->code().message();
  }
  const std::string text = exception.what();
  const std::size_t end = text.find("] ");
  return text.starts_with("[json.exception.") && end != std::string::npos ? text.substr(end + 2) : text;
}

}  // namespace eddy
