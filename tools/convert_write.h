#pragma once
// Writing a Hugging Face folder, by all ranks and their threads, so that it can be interrupted.
#include <functional>
#include <string>
#include <vector>

#include "comm/session.h"
#include "convert_recast.h"
#include "hf/folder_writer.h"
#include "hf/scales.h"

namespace eddy::convert {

constexpr const char* kFilesList = "eddy-files.json";  ///< hashes of the folder's weight files; `verify` compares them

struct FolderJob {
  std::string what;    ///< "casting", for the progress shown
  std::string out;     ///< the folder to be; until it is complete it is `out`.tmp
  std::string source;  ///< what its content depends on: an interrupted run with another one is not continued
  std::vector<hf::FilePlan> files;
  bool index = true;  ///< with model.safetensors.index.json
  int threads = 1;
  bool read_back_from_disk = false;
  /// The scales that go with weights which were FP8; empty: none.
  hf::KeptScales kept;
  std::function<void(const std::filesystem::path& dir)> companions;  ///< rank 0: config.json and what else there is
};

/// Collective. The ranks share the files, the threads of a rank its part. Throws on every rank when one failed; the
/// files that are complete then stay in `out`.tmp (but where the input is at fault), and the same call goes on with
/// them.
void write_folder(comm::Communicator& world, const FolderJob& job, Recast& recast);

/// Rank 0's: the scales that the output keeps, for the matrices among these names.
hf::KeptScales kept_scales(const Recast& recast, const std::vector<hf::FilePlan>& files);
/// The files of one folder with this index (weight_map: tensor → file), sorted within each as the format wants it.
std::vector<hf::FilePlan> plan_by_map(const std::vector<hf::Declared>& tensors,
                                      const std::map<std::string, std::string>& weight_map);
/// A hash of a file's bytes, or of its size and time where `content` is false.
std::string fingerprint(const std::filesystem::path& file, bool content);

}  // namespace eddy::convert
