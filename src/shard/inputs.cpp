#include "shard/inputs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "io/folder.h"
#include "shard/paper.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPapers = "papers.jsonl";

/// A crawl's store: papers.jsonl, whose first line is a paper. Throws Error (status 2) for the folder of a crawl that
/// has no papers: a plain folder of .jsonl files it is not.
bool is_store(const fs::path& folder) {
  std::ifstream in(folder / kPapers);
  std::string line;
  const bool has_line = static_cast<bool>(std::getline(in, line));
  if (has_line && is_store_line(line)) return true;
  for (const char* name : {"records", "payloads", "state"})  // which every crawl makes at its begin
    if (std::error_code none; !fs::is_directory(folder / name, none)) return false;
  if (!fs::exists(folder / kPapers))
    fail_input("input {}: a crawl that has not come to its {}: start eddy-crawl again, it goes on and ends with one",
               folder.string(), kPapers);
  if (!has_line)
    fail_input("input {}: a crawl without papers ({} is empty): see its report.txt for what was left out, and why",
               folder.string(), kPapers);
  fail_input("input {}: the first line of its {} is no paper: start eddy-crawl again, it writes the file anew",
             folder.string(), kPapers);
}

class Lister {
 public:
  explicit Lister(bool several) : several_(several) {}

  void input(const fs::path& given) {
    std::error_code error;
    const fs::file_status status = fs::status(given, error);
    if (!fs::exists(status))
      fail_input("input {}: {}", given.string(), error ? error.message() : "no such file or folder");
    const fs::path whole = fs::absolute(given).lexically_normal(),
                   path = whole.has_filename() ? whole : whole.parent_path();
    if (fs::is_directory(status)) {
      if (is_store(path)) return store(path, path.filename().string());
      return folder(path, path.filename().string());
    }
    if (!extract::kind_of(path))
      fail_input("input {}: not of a known kind; known are .tex, .md, .txt, .pdf, .jsonl, and folders of them",
                 given.string());
    file(path, path.filename().string(), path.parent_path());
  }
  InputList done() {
    std::stable_sort(list_.files.begin(), list_.files.end(),
                     [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
    std::set<std::string> sources;
    for (const InputFile& f : list_.files)
      if (f.kind == extract::Kind::latex) sources.insert(fs::path(f.path).replace_extension().string());
    for (InputFile& f : list_.files)
      f.part = f.kind == extract::Kind::pdf && sources.contains(fs::path(f.path).replace_extension().string());
    return std::move(list_);
  }

 private:
  void folder(const fs::path& root, const std::string& name) {
    std::error_code error;
    fs::recursive_directory_iterator at(root, error);
    if (error) fail_input("input {}: {}", root.string(), error.message());
    for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
      const std::string leaf = at->path().filename().string();
      if (leaf.starts_with('.')) {
        at.disable_recursion_pending();
      } else if (at->is_directory(error) && !at->is_symlink(error) && is_store(at->path())) {
        at.disable_recursion_pending();
        store(at->path(), (fs::path(name) / at->path().lexically_relative(root)).string());
      } else if (at->is_regular_file(error)) {
        if (extract::kind_of(at->path()))
          file(at->path(), (fs::path(name) / at->path().lexically_relative(root)).string(), root);
        else
          ++list_.skipped[at->path().extension().string()];
      }
    }
    if (error) fail_input("input {}: {}", root.string(), error.message());
  }
  void store(const fs::path& path, const std::string& name) { file(path / kPapers, name, path, true); }
  void file(const fs::path& path, const std::string& name, const fs::path& root, bool store = false) {
    if (several_ && !seen_.insert(fs::canonical(path).string()).second) return;
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    list_.files.push_back(
        {path.string(), name, root.string(), *extract::kind_of(path), error ? 0 : bytes, false, store});
  }
  bool several_;  // only then can a file be met twice
  std::set<std::string> seen_;
  InputList list_;
};

}  // namespace

InputList list_inputs(const std::vector<std::string>& inputs) {
  if (inputs.empty()) fail_input("--input: name at least one folder or file");
  Lister lister(inputs.size() > 1);
  for (const std::string& i : inputs) lister.input(i);
  return lister.done();
}

void check_apart(const std::vector<std::string>& inputs, const fs::path& out) {
  std::error_code ignored;
  const fs::path to = fs::weakly_canonical(fs::absolute(out), ignored).lexically_normal() / "";
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input, ignored)) continue;
    const fs::path from = fs::canonical(input, ignored) / "";
    if (io::is_within(to.parent_path(), from.parent_path()) || io::is_within(from.parent_path(), to.parent_path()))
      fail_input(
          "--out {} and --input {} lie within each other: what is written would be read by the next build; choose "
          "another --out",
          out.string(), input);
  }
}

std::vector<Unit> make_units(const std::vector<InputFile>& files, std::uint64_t slice) {
  std::vector<Unit> units;
  for (std::uint32_t f = 0; f < files.size(); ++f) {
    if (files[f].part) continue;
    const std::uint64_t bytes = files[f].bytes, step = files[f].store ? std::min(slice, kStoreSlice)
                                                       : files[f].kind == extract::Kind::jsonl
                                                           ? slice
                                                           : std::max<std::uint64_t>(bytes, 1);
    for (std::uint64_t begin = 0; begin == 0 || begin < bytes; begin += step)
      units.push_back({f, begin, std::min(begin + step, bytes)});
  }
  return units;
}

std::uint64_t cost_of(const Unit& unit, const std::vector<InputFile>& files) {
  constexpr std::uint64_t kPaper = 60;  // a paper's source is about so much longer than its line in a store
  return (unit.end - unit.begin) * (files[unit.file].store ? kPaper : 1) + 4096;
}

std::vector<Batch> make_batches(const std::vector<std::uint32_t>& todo, const std::vector<Unit>& units,
                                const std::vector<InputFile>& files, std::uint64_t least) {
  std::vector<Batch> batches;
  for (const std::uint32_t u : todo) {
    if (batches.empty() || batches.back().cost >= least) batches.emplace_back();
    batches.back().units.push_back(u);
    batches.back().cost += cost_of(units[u], files);
  }
  std::stable_sort(batches.begin(), batches.end(), [](const Batch& a, const Batch& b) { return a.cost > b.cost; });
  return batches;
}

}  // namespace eddy::shard
