#include "convert_write.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "checkpoint/agree.h"
#include "convert_common.h"
#include "io/file.h"
#include "io/folder.h"

namespace eddy::convert {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

std::uint64_t bytes_of(const hf::FilePlan& file) {
  std::uint64_t bytes = 0;
  for (const auto& t : file.tensors) bytes += hf::bytes_of(t);
  return bytes;
}

/// This rank's files: the largest first, each to the rank with the least so far.
std::vector<hf::FilePlan> share(const std::vector<hf::FilePlan>& files, int rank, int ranks) {
  std::vector<std::size_t> order(files.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return bytes_of(files[a]) > bytes_of(files[b]); });
  std::vector<std::uint64_t> load(static_cast<std::size_t>(ranks));
  std::vector<hf::FilePlan> mine;
  for (const std::size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += bytes_of(files[i]);
    if (least - load.begin() == rank) mine.push_back(files[i]);
  }
  return mine;
}

std::string index_of(const std::vector<hf::FilePlan>& files) {
  std::map<std::string, std::string> map;
  std::uint64_t total = 0;
  for (const auto& file : files)
    for (const auto& t : file.tensors) {
      map[t.name] = file.name;
      total += hf::bytes_of(t);
    }
  // not ordered_json, whose look-ups are linear: R1 has some 90,000 names
  return nlohmann::json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n";
}

/// What an interrupted run left stays where it is of this job; anything else that it left goes (check_output has seen
/// that nobody else's stands there).
void prepare(const fs::path& unfinished, const hf::FolderWriter& writer, const std::vector<hf::FilePlan>& files) {
  std::set<std::string> keep{kUnfinishedMark};
  std::size_t complete = 0;
  for (const auto& file : files)
    if (!writer.note_of(file, false).name.empty()) {
      ++complete;
      keep.insert(file.name);
      keep.insert(hf::note_path(unfinished, file.name).filename().string());
    }
  fs::create_directory(unfinished);
  io::write_file(unfinished / kUnfinishedMark, "Being written by eddy-convert; the same command goes on from here.\n");
  std::vector<fs::path> others;  // removed after the walk
  for (const auto& entry : fs::directory_iterator(unfinished))
    if (!keep.count(entry.path().filename().string())) others.push_back(entry.path());
  for (const fs::path& other : others) fs::remove_all(other);
  if (complete) log::info("{}: goes on with {} of {} files complete", unfinished.string(), complete, files.size());
}

void finish(const FolderJob& job, const fs::path& unfinished, const hf::FolderWriter& writer) {
  Json list = Json::object();
  for (const auto& file : job.files) {
    const hf::FileNote note = writer.note_of(file, false);
    if (note.name.empty())
      fail_run("{}: is not complete; run the same command again", (unfinished / file.name).string());
    list[note.name] = {{"bytes", note.bytes}, {"xxh3", note.xxh3}};
  }
  if (!job.kept.scales.empty()) hf::write_kept_scales(unfinished, job.kept);
  if (job.index) io::write_file(unfinished / "model.safetensors.index.json", index_of(job.files));
  job.companions(unfinished);
  io::write_file(unfinished / kFilesList, Json{{"files", list}}.dump(1) + "\n");
  for (const auto& file : job.files) fs::remove(hf::note_path(unfinished, file.name));
  fs::remove(unfinished / kUnfinishedMark);
  io::sync_folder(unfinished);
  io::commit_folder(unfinished, job.out);
}

}  // namespace

void write_folder(comm::Communicator& world, const FolderJob& job, Recast& recast) {
  const fs::path unfinished = job.out + ".tmp";
  const std::vector<hf::FilePlan> mine = share(job.files, world.rank(), world.size());
  std::uint64_t all = 0;
  for (const auto& file : job.files) all += bytes_of(file);
  std::uint64_t own = 0;
  for (const auto& file : mine) own += bytes_of(file);
  log::Progress progress(job.what, own, "bytes");
  hf::FolderWriterOptions how{job.threads, job.read_back_from_disk, job.source,
                              [&](std::uint64_t bytes) { progress.update(bytes); }};
  hf::FolderWriter writer(unfinished, how);
  try {
    checkpoint::agree(world, [&] {
      if (world.rank() == 0) prepare(unfinished, writer, job.files);
    });
    checkpoint::agree(world, [&] {
      writer.write(mine, [&](const hf::Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) {
        recast.rows(t, first, rows, out);
      });
    });
    checkpoint::agree(world, [&] {
      if (world.rank() == 0) finish(job, unfinished, writer);
    });
  } catch (const Error& e) {  // all ranks have stopped
    std::error_code ignored;
    if (world.rank() == 0 && e.status() == Exit::unusable) fs::remove_all(unfinished, ignored);
    if (world.rank() == 0 && e.status() == Exit::failed && fs::exists(unfinished, ignored))
      log::info("what is complete stays in {}; the same command goes on from there", unfinished.string());
    throw;
  }
  if (world.rank() == 0)
    log::info("{}: {} in {} files, every tensor read back and compared", job.out, bytes_text(static_cast<double>(all)),
              job.files.size());
}

hf::KeptScales kept_scales(const Recast& recast, const std::vector<hf::FilePlan>& files) {
  hf::KeptScales kept;
  for (const auto& file : files)
    for (const auto& t : file.tensors) {
      if (t.shape.size() != 2 || t.dtype == Dtype::f8e4m3 || !hf::weight_of_scale(t.name).empty()) continue;
      if (auto scales = recast.scales_to_keep(t.name))
        kept.scales[hf::scale_name(t.name)] = {hf::fp8_scale_shape(t.shape), std::move(*scales)};
    }
  return kept;
}

std::vector<hf::FilePlan> plan_by_map(const std::vector<hf::Declared>& tensors,
                                      const std::map<std::string, std::string>& weight_map) {
  std::map<std::string, hf::FilePlan> files;
  for (const auto& t : tensors) {
    hf::FilePlan& file = files[weight_map.at(t.name)];
    file.name = weight_map.at(t.name);
    file.tensors.push_back(t);
  }
  std::vector<hf::FilePlan> out;
  for (auto& [name, file] : files) {
    hf::sort_for_file(file.tensors);
    out.push_back(std::move(file));
  }
  return out;
}

std::string fingerprint(const fs::path& file, bool content) {
  if (content) return hex64(xxh3(io::read_file(file)));
  return fmt::format("{} {} {}", file.filename().string(), fs::file_size(file),
                     fs::last_write_time(file).time_since_epoch().count());
}

}  // namespace eddy::convert
