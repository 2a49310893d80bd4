#include "base/secret.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace eddy {

std::string read_secret(const std::string& variable, const std::string& file) {
  std::string key, where = "the environment variable " + variable;
  if (const char* value = std::getenv(variable.c_str())) key = value;
  if (key.empty() && !file.empty()) {
    where = file;
    struct stat info {};
    if (stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      fail_input("{}: the key's file cannot be read; does it exist?", file);
    if (info.st_mode & 077)
      fail_input("{}: others than its owner may read or change this key (mode {:04o}): run chmod 600 on it", file,
                 info.st_mode & 07777);
    std::ifstream in(file);
    if (!std::getline(in, key)) fail_input("{}: the key's file is empty or cannot be read", file);
  }
  while (!key.empty() && (key.back() == ' ' || key.back() == '\r' || key.back() == '\n' || key.back() == '\t'))
    key.pop_back();
  const bool strange = std::any_of(key.begin(), key.end(), [](unsigned char c) {
    return c <= ' ' || c >= 127 || c == '"' || c == '\\';  // the last two are spelled otherwise in JSON
  });
  if (strange || (!key.empty() && key.size() < 6))
    fail_input("{}: holds no key: a key has six characters and more, no blanks, quotes or control characters", where);
  return key;
}

std::string percent_encode(std::string_view text, std::string_view keep) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (u >= '0' && u <= '9') || (u >= 'A' && u <= 'Z') || (u >= 'a' && u <= 'z') || u == '-' ||
                       u == '.' || u == '_' || u == '~' || keep.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
  return out;
}

std::string redact(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    for (const std::string& form : {secret, percent_encode(secret)})
      for (std::size_t at = text.find(form); at != std::string::npos; at = text.find(form, at + 8))
        text.replace(at, form.size(), "REDACTED");
  }
  return text;
}

}  // namespace eddy
