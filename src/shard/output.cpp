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

}  // namespace

OutputDirectory::OutputDirectory(fs::path dir, bool overwrite) : dir_(std::move(dir)) {
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
  fs::remove_all(partial(dir_), error);  // what a killed run left
  fs::create_directory(partial(dir_), error);
  if (error) fail_input("--out {}: cannot be written: {}", dir_.string(), error.message());
}

OutputDirectory::~OutputDirectory() {
  std::error_code ignored;
  fs::remove_all(partial(dir_), ignored);
  if (made_) fs::remove(dir_, ignored);  // fails, as it should, when it holds something
}

void OutputDirectory::commit(const Manifest& manifest, std::string_view tokenizer_json) {
  const fs::path from = partial(dir_);
  io::write_file(from / kTokenizerName, tokenizer_json);  // all that needs room on the disk comes before any final name
  write_manifest(from, manifest);
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(dir_))
    if (is_shard_name(entry.path().filename().string())) old.push_back(entry.path());
  fs::remove(dir_ / kManifestName);  // from here on the directory is not a finished one
  for (const fs::path& path : old) fs::remove(path);
  for (const ShardEntry& shard : manifest.shards) fs::rename(from / shard.file, dir_ / shard.file);
  io::rename_durably(from / kTokenizerName, dir_ / kTokenizerName);
  io::rename_durably(from / kManifestName, dir_ / kManifestName);
}

}  // namespace eddy::shard
