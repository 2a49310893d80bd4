#include "bench_corpus_extract.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/options.h"
#include "extract/article.h"
#include "extract/pdf.h"

using namespace eddy;
namespace fs = std::filesystem;

namespace {

struct Papers {
  std::vector<fs::path> latex{}, pdf{};
  double latex_bytes = 0;
};

Papers find(const std::vector<std::string>& inputs) {
  Papers papers;
  const auto take = [&papers](const fs::path& path) {
    const auto kind = extract::kind_of(path);
    if (kind == extract::Kind::pdf) papers.pdf.push_back(path);
    if (kind != extract::Kind::latex) return;
    const extract::TexLinks links = extract::tex_links(path, path.parent_path());
    if (!links.main) return;
    papers.latex.push_back(path);
    papers.latex_bytes += static_cast<double>(fs::file_size(path));
    for (const fs::path& input : links.inputs) papers.latex_bytes += static_cast<double>(fs::file_size(input));
  };
  for (const std::string& input : inputs) {
    if (!fs::exists(input)) fail_input("{}: there is no such file or folder", input);
    if (!fs::is_directory(input)) take(input);
    if (fs::is_directory(input))
      for (const auto& entry : fs::recursive_directory_iterator(input))
        if (entry.is_regular_file()) take(entry.path());
  }
  std::sort(papers.latex.begin(), papers.latex.end());
  std::sort(papers.pdf.begin(), papers.pdf.end());
  return papers;
}

double child_seconds() {
  rusage u{};
  getrusage(RUSAGE_CHILDREN, &u);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

/// Runs `command` with the file's name in it; form feeds in its output, or -1 when it failed.
long form_feeds(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) fail_run("cannot run {}", command);
  long count = 0;
  std::array<char, 1 << 16> block;
  for (std::size_t n = 0; (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;)
    count += std::count(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n), '\f');
  return ::pclose(pipe) == 0 ? count : -1;
}

std::string quoted(const std::string& name) {
  std::string out = "'";
  for (const char c : name) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + '\'';
}

}  // namespace

int bench_corpus_extract(const std::vector<std::string>& arguments) {
  std::vector<std::string> inputs;
  int passes = 5;
  bool json = false;
  Options options("eddy-bench corpus-extract", "--input PATH...",
                  "Measures how fast one core takes text from LaTeX and PDF papers.");
  options.add("input", &inputs, "files and folders of papers (.tex, .pdf)", {.required = true});
  options.add("passes", &passes, "runs of each measurement; the best one counts", {.min = 1});
  options.add("json", &json, "print one JSON object");
  options.positional("input");
  if (!options.parse(arguments)) return 0;
  const Papers papers = find(inputs);
  nlohmann::ordered_json result;

  if (!papers.latex.empty()) {
    double best = 1e300, out = 0;
    for (int i = 0; i < passes; ++i) {
      out = 0;
      const std::clock_t start = std::clock();
      for (const fs::path& path : papers.latex)
        out += static_cast<double>(
            extract::extract_article(path, extract::Kind::latex, path.parent_path(), {}).outcome.text.size());
      best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    result["latex"] = {{"papers", papers.latex.size()},
                       {"bytes", papers.latex_bytes},
                       {"text_bytes", out},
                       {"seconds", best},
                       {"mb_per_s", papers.latex_bytes / best / 1e6}};
  }
  const fs::path program = extract::pdf_program();
  if (!papers.pdf.empty() && !program.empty()) {
    const bool beside = form_feeds("command -v pdftotext > /dev/null") == 0;
    double ours = 1e300, theirs = 1e300;
    long pages = 0;
    for (int i = 0; i < passes; ++i) {
      const auto time = [&](const std::string& before, const std::string& behind, double& best) {
        pages = 0;
        const double start = child_seconds();
        for (const fs::path& path : papers.pdf)
          pages += std::max(0L, form_feeds(before + quoted(path.string()) + behind));
        best = std::min(best, child_seconds() - start);
      };
      time(quoted(program.string()) + ' ', " 2> /dev/null", ours);
      if (beside) time("pdftotext ", " - 2> /dev/null", theirs);
    }
    result["pdf"] = {{"papers", papers.pdf.size()}, {"seconds", ours}};
    if (beside) {  // which ends pages by form feeds
      result["pdf"].update({{"pages", pages},
                            {"pages_per_s", static_cast<double>(pages) / ours},
                            {"pdftotext_pages_per_s", static_cast<double>(pages) / theirs},
                            {"of_pdftotext", theirs / ours}});
    }
  }
  if (result.empty()) fail_input("there are no papers below {}", inputs[0]);
  if (json) {
    fmt::print("{}\n", result.dump());
    return 0;
  }
  for (const auto& [kind, figures] : result.items())
    for (const auto& [name, value] : figures.items())
      fmt::print("{:<6} {:<22} {:>12.6g}\n", kind, name, value.get<double>());
  return 0;
}
