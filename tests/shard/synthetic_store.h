#pragma once
// A small store as a crawl leaves it: papers.jsonl, and payloads in a tar file (whose headers nobody reads here).
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"
#include "support.h"

namespace eddy_test {

/// English-looking text: made-up words between function words, in sentences.
inline std::string made_words(std::uint64_t seed, int words) {
  static const std::vector<std::string> function{"the", "of", "and", "to", "is", "that", "with", "for", "we", "in"};
  std::string out;
  for (int w = 0; w < words; ++w) {
    const auto r = eddy::philox(seed, static_cast<std::uint64_t>(w));
    if (r[0] % 3 == 0) {
      out += function[r[1] % function.size()];
    } else {
      for (std::uint32_t c = 0; c < 4 + r[1] % 6; ++c)
        out += static_cast<char>('a' + eddy::philox(seed ^ r[2], c)[0] % 26);
    }
    out += w % 12 == 11 ? ". " : " ";
  }
  return out;
}

/// A LaTeX paper: abstract, sections, a definition, a theorem with its proof, an equation.
inline std::string made_paper(std::uint64_t seed, const std::string& title) {
  std::string body;
  for (int s = 0; s < 3; ++s) {
    body += "\\section{Part " + std::to_string(s) + "}\n";
    for (int p = 0; p < 3; ++p) body += made_words(seed * 100 + static_cast<std::uint64_t>(s * 10 + p), 80) + "\n\n";
  }
  return "\\documentclass{article}\\title{" + title + "}\\begin{document}\\maketitle\n\\begin{abstract}" +
         made_words(seed + 7777, 60) + "\\end{abstract}\n" + body + "\\begin{definition}[A thing of kind " +
         std::to_string(seed) + "]It " + made_words(seed + 5555, 20) +
         "\\end{definition}\n\\begin{theorem}\\label{t}Let $x^" + std::to_string(seed) + "$ be " +
         made_words(seed + 3333, 20) + "\\end{theorem}\n\\begin{proof}As " + made_words(seed + 4444, 30) +
         "\\end{proof}\n\nWe write " + made_words(seed + 2222, 20) + "\n\\[ E_{" + std::to_string(seed) +
         "} = m c^2 \\]\n" + made_words(seed + 1111, 30) + "\n\\end{document}\n";
}

class StoreMaker {
 public:
  /// Adds a paper whose payload are these bytes; `more` are further keys of its line, `of_payload` of its payload.
  void add(const std::string& id, const std::string& title, const std::string& bytes, nlohmann::json more = {},
           nlohmann::json of_payload = {}) {
    nlohmann::json j{{"id", id},
                     {"title", title},
                     {"authors", {"A. Author"}},
                     {"year", 2020},
                     {"fields", {"physics"}},
                     {"licence", "http://creativecommons.org/licenses/by/4.0/"},
                     {"abstract", "An abstract."},
                     {"missing", nlohmann::json::array()}};
    tar_ += std::string(512, '\0');
    j["payload"] = {{"kind", "latex"},       {"media_type", "application/x-tex"},
                    {"bytes", bytes.size()}, {"tar", "payloads/a.tar"},
                    {"offset", tar_.size()}, {"member", "m"}};
    tar_ += bytes;
    tar_.resize((tar_.size() + 511) / 512 * 512);
    for (const auto& [key, value] : of_payload.items()) j["payload"][key] = value;
    for (const auto& [key, value] : more.items()) j[key] = value;
    lines_ += j.dump() + "\n";
  }
  void write(const std::filesystem::path& dir) const {
    std::filesystem::create_directories(dir / "payloads");
    write_file(dir / "papers.jsonl", lines_);
    write_file(dir / "payloads" / "a.tar", tar_);
  }

 private:
  std::string lines_, tar_;
};

}  // namespace eddy_test
