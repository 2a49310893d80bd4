#include "shard/output.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "shard/format.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::json;
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

/// What a broken run leaves says by its `run` file that it is one; an empty folder was about to.
void require_left_over(const fs::path& folder) {
  std::error_code none;
  const auto status = fs::symlink_status(folder, none);
  if (!fs::exists(status)) return;
  if (fs::is_directory(status) && (fs::exists(folder / kRun, none) || fs::is_empty(folder, none))) return;
  fail_input("{}: it is not what a run of eddy-shard leaves there; move or remove it", folder.string());
}

/// `run` goes last: a kill on the way leaves what is known again.
void remove_left_over(const fs::path& folder) {
  std::error_code none;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().filename() != kRun) entries.push_back(entry.path());
  for (const fs::path& entry : entries) fs::remove_all(entry, none);
  fs::remove_all(folder, none);
}

/// Files that a build makes beside the sets.
bool is_list_name(const std::string& name) {
  return name == "manifest.jsonl" || name == "rejected.jsonl" ||
         (name.starts_with("task-") && name.ends_with(".jsonl"));
}

/// `.build`: what a build was told, its sets, and its files in the order in which they get their names.
struct Record {
  std::string run{};
  std::vector<std::string> sets{}, files{};
};
Record read_record(const fs::path& path) {
  if (const std::string text = content(path); !text.empty()) {
    const auto j = parse_json<json>(text, path.string());
    try {
      return {j.at("run"), j.at("sets"), j.at("files")};
    } catch (const json::exception& e) {
      fail_input("{}: {}", path.string(), e.what());
    }
  }
  return {};
}

}  // namespace

OutputDirectory::OutputDirectory(fs::path dir, bool overwrite, const std::string& fingerprint, io::FileSystem& files)
    : dir_(std::move(dir)), fingerprint_(fingerprint), files_(files) {
  std::error_code error;
  const fs::file_status status = fs::status(dir_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail_input("--out {}: it is not a directory", dir_.string());
  if (!fs::exists(status)) {
    fs::create_directories(dir_, error);
    if (error) fail_input("--out {}: cannot be made: {}", dir_.string(), error.message());
    made_ = true;
  }
  const fs::path from = partial(dir_);
  const bool ours = content(from / kRun) == fingerprint;
  if (ours && fs::exists(from / kBuildName, error)) {
    state_ = State::prepared;
    return;
  }
  if (!overwrite && read_record(dir_ / kBuildName).run == fingerprint) {
    state_ = State::complete;
    keep_ = !ours;  // what another build has begun is left to it
    return;
  }
  if (!overwrite && fs::exists(dir_ / kBuildName, error))
    fail_input(
        "--out {}: it holds a complete build by another command, or of options, inputs or a tokenizer that have "
        "changed since: choose another directory, or give --overwrite to replace it",
        dir_.string());
  if (!overwrite)
    for (const auto& entry : fs::directory_iterator(dir_, error))
      if (entry.path().filename() != ".partial")
        fail_input(
            "--out {}: it is not empty (it holds {}): choose another directory, or give --overwrite to replace the "
            "shards in it",
            dir_.string(), entry.path().filename().string());
  state_ = ours ? State::resumed : State::fresh;
  if (ours) return;
  require_left_over(from);
  remove_left_over(from);
  fs::create_directory(from, error);
  if (error) fail_input("--out {}: cannot be written: {}", dir_.string(), error.message());
  io::write_file(from / kRun, fingerprint);
}

OutputDirectory::~OutputDirectory() {
  if (keep_) return;
  remove_left_over(partial(dir_));
  std::error_code ignored;
  if (made_) fs::remove(dir_, ignored);  // fails, as it should, when it holds something
}

void OutputDirectory::keep() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(partial(dir_), error))
    if (entry.path().filename().string().starts_with("journal-") && fs::file_size(entry.path(), error) > 0)
      keep_ = true;
}

void OutputDirectory::prepare(const std::vector<BuiltSet>& sets, const std::vector<std::string>& lists,
                              std::string_view tokenizer_json) {
  const fs::path from = partial(dir_);
  Record record{fingerprint_, {}, lists};
  std::vector<std::string> last;
  for (const BuiltSet& set : sets) {
    io::write_synced(files_, from / set.name / kTokenizerName, tokenizer_json);
    io::write_synced(files_, from / set.name / kManifestName, manifest_text(set.manifest));
    files_.sync_folder((from / set.name / "").parent_path());
    record.sets.push_back(set.name);
    const auto name = [&](const std::string& file) { return (fs::path(set.name) / file).string(); };
    for (const ShardEntry& shard : set.manifest.shards) record.files.push_back(name(shard.file));
    record.files.push_back(name(kTokenizerName));
    last.push_back(name(kManifestName));
  }
  files_.sync_folder(from);
  record.files.insert(record.files.end(), last.begin(), last.end());
  const json j{{"run", record.run}, {"sets", record.sets}, {"files", record.files}};
  const fs::path unfinished = from / (std::string(kBuildName) + ".tmp");
  io::write_synced(files_, unfinished, j.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
  io::rename_durably(files_, unfinished, from / kBuildName);
  state_ = State::prepared;
}

std::vector<BuiltSet> OutputDirectory::finish() {
  if (state_ == State::prepared) give_names();
  std::vector<BuiltSet> built;
  for (const std::string& set : read_record(dir_ / kBuildName).sets) {
    built.push_back({set, read_manifest(dir_ / set)});
    for (const ShardEntry& shard : built.back().manifest.shards) {
      std::error_code error;
      const fs::path path = dir_ / set / shard.file;
      if (const std::uintmax_t bytes = fs::file_size(path, error); error || bytes != shard.bytes)
        fail_input("{}: {}, though a complete build has written it: give --overwrite to build it again", path.string(),
                   error ? "missing" : "of another size");
    }
  }
  return built;
}

void OutputDirectory::give_names() {
  keep_ = true;
  const Record record = read_record(partial(dir_) / kBuildName);
  for (const std::string& set : record.sets)
    if (!set.empty()) files_.make_folder(dir_ / set);
  remove_old(record.files);
  const auto manifests = record.files.end() - static_cast<std::ptrdiff_t>(record.sets.size());
  std::for_each(record.files.begin(), manifests, [&](const std::string& name) { give_name(name); });
  sync_folders();
  std::for_each(manifests, record.files.end(), [&](const std::string& name) { give_name(name); });
  sync_folders();
  io::rename_durably(files_, partial(dir_) / kBuildName, dir_ / kBuildName);
  state_ = State::complete;
  keep_ = false;
}

/// Files of an earlier build; where new ones of the same name come, these take their place.
void OutputDirectory::remove_old(const std::vector<std::string>& names) {
  files_.remove(dir_ / kBuildName);  // from here on the directory is not a complete one
  std::vector<fs::path> old;
  for (const std::string set : {"", kTextSet, kPairSet}) {
    const fs::path folder = dir_ / set;
    if (!fs::is_directory(folder)) continue;
    if (fs::exists(partial(dir_) / set / kManifestName) ||
        std::find(names.begin(), names.end(), (fs::path(set) / kManifestName).string()) == names.end())
      files_.remove(folder / kManifestName);
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string(), name = (fs::path(set) / file).string();
      if ((is_shard_name(file) || is_list_name(file)) && std::find(names.begin(), names.end(), name) == names.end())
        old.push_back(entry.path());
    }
  }
  sync_folders();
  for (const fs::path& path : old) files_.remove(path);
}

void OutputDirectory::give_name(const std::string& name) {
  const fs::path from = partial(dir_) / name, to = dir_ / name;
  if (fs::exists(from)) return files_.rename(from, to);
  if (fs::exists(to)) return;  // by the build that was killed
  keep_ = false;               // nothing can be finished from this
  fail_run("{}: it was written, and is neither here nor in {}: start again with --overwrite", to.string(),
           partial(dir_).string());
}

void OutputDirectory::sync_folders() {
  for (const std::string set : {"", kTextSet, kPairSet})
    if (const fs::path folder = (dir_ / set / "").parent_path(); fs::is_directory(folder)) files_.sync_folder(folder);
}

}  // namespace eddy::shard
