#include "shard/output.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "io/file.h"
#include "shard/format.h"

namespace eddy::shard {
namespace fs = std::filesystem;
namespace {

/// True for the names that a build gives: "train-00000.h5".
bool is_shard_name(const std::string& name) {
  for (const std::string_view split : kSplitNames)
    if (name.size() == split.size() + 9 && name.starts_with(split) && name[split.size()] == '-' &&
        name.ends_with(".h5") &&
        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(split.size()) + 1, name.end() - 3,
                    [](char c) { return c >= '0' && c <= '9'; }))
      return true;
  return false;
}

constexpr const char* kRun = "run";  // in .partial: what its build was told

std::string content(const fs::path& file) {
  std::error_code none;
  return fs::exists(file, none) ? io::read_file(file) : "";
}

/// Files that a build makes beside the sets.
bool is_list_name(const std::string& name) {
  return name == "manifest.jsonl" || name == "rejected.jsonl" ||
         (name.starts_with("task-") && name.ends_with(".jsonl"));
}

}  // namespace

OutputDirectory::OutputDirectory(fs::path dir, bool overwrite, const std::string& fingerprint) : dir_(std::move(dir)) {
  std::error_code error;
  const fs::file_status status = fs::status(dir_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail_input("--out {}: it is not a directory", dir_.string());
  if (!fs::exists(status)) {
    fs::create_directories(dir_, error);
    if (error) fail_input("--out {}: cannot be made: {}", dir_.string(), error.message());
    made_ = true;
  }
  if (!overwrite)
    for (const auto& entry : fs::directory_iterator(dir_, error))
      if (entry.path().filename() != ".partial")
        fail_input(
            "--out {}: it is not empty (it holds {}): choose another directory, or give --overwrite to replace the "
            "shards in it",
            dir_.string(), entry.path().filename().string());
  const fs::path from = partial(dir_);
  resumed_ = content(from / kRun) == fingerprint;
  if (resumed_) return;
  fs::remove_all(from, error);  // what a killed run of another kind left
  fs::create_directory(from, error);
  if (error) fail_input("--out {}: cannot be written: {}", dir_.string(), error.message());
  io::write_file(from / kRun, fingerprint);
}

OutputDirectory::~OutputDirectory() {
  if (keep_) return;
  std::error_code ignored;
  fs::remove_all(partial(dir_), ignored);
  if (made_) fs::remove(dir_, ignored);  // fails, as it should, when it holds something
}

void OutputDirectory::keep() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(partial(dir_), error))
    if (entry.path().filename().string().starts_with("journal-") && fs::file_size(entry.path(), error) > 0)
      keep_ = true;
}

void OutputDirectory::commit(const std::vector<BuiltSet>& sets, const std::vector<std::string>& lists,
                             std::string_view tokenizer_json) {
  const fs::path from = partial(dir_);
  for (const BuiltSet& set : sets) {  // all that needs room on the disk comes before any final name
    fs::create_directories(dir_ / set.name);
    io::write_file(from / set.name / kTokenizerName, tokenizer_json);
    write_manifest(from / set.name, set.manifest);
  }
  std::vector<fs::path> old;
  for (const fs::path& folder : {dir_, dir_ / kTextSet, dir_ / kPairSet}) {
    if (!fs::is_directory(folder)) continue;
    fs::remove(folder / kManifestName);  // from here on the directory is not a finished one
    for (const auto& entry : fs::directory_iterator(folder))
      if (const std::string name = entry.path().filename().string(); is_shard_name(name) || is_list_name(name))
        old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove(path);
  for (const std::string& list : lists) fs::rename(from / list, dir_ / list);
  for (const BuiltSet& set : sets) {
    for (const ShardEntry& shard : set.manifest.shards)
      fs::rename(from / set.name / shard.file, dir_ / set.name / shard.file);
    io::rename_durably(from / set.name / kTokenizerName, dir_ / set.name / kTokenizerName);
    io::rename_durably(from / set.name / kManifestName, dir_ / set.name / kManifestName);
  }
}

}  // namespace eddy::shard
