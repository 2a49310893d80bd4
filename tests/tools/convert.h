#pragma once
// Helpers of eddy-convert's tests: run it, read what it wrote.
#include <cstring>
#include <map>
#include <tuple>

#include "base/json.h"
#include "catch.h"
#include "hf/folder.h"
#include "hf/safetensors_writer.h"
#include "refusal.h"
#include "support.h"

namespace eddy_test {

inline std::filesystem::path fixture(const std::string& name) {
  return source_dir() / "tests/fixtures" / name;
}

/// eddy-convert with these arguments; under mpiexec where ranks > 0.
inline RunResult convert(std::vector<std::string> arguments, int ranks = 0) {
  arguments.insert(arguments.begin(), "eddy-convert");
  return run(std::move(arguments), ranks);
}
/// The same, which must end well; what it said otherwise.
inline std::string converts(std::vector<std::string> arguments, int ranks = 0) {
  const RunResult r = convert(std::move(arguments), ranks);
  return r.status == 0 ? "" : std::to_string(r.status) + ": " + r.err;
}

/// name → dtype, shape, bytes of every tensor in a folder's safetensors files.
using Tensors = std::map<std::string, std::tuple<eddy::Dtype, std::vector<std::int64_t>, std::string>>;
inline Tensors tensors(const std::filesystem::path& folder) {
  Tensors out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("model") || !name.ends_with(".safetensors")) continue;
    const eddy::hf::SafetensorsFile file(entry.path());
    for (const auto& [key, t] : file.tensors())
      out[key] = {t.dtype, t.shape, std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size())};
  }
  return out;
}

/// A folder with these tensors and another's config.json.
inline void write_folder(const std::filesystem::path& folder, const Tensors& tensors,
                         const std::filesystem::path& config) {
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(config, folder / "config.json", std::filesystem::copy_options::overwrite_existing);
  std::vector<eddy::hf::Declared> declared;
  for (const auto& [name, t] : tensors) declared.push_back({name, std::get<0>(t), std::get<1>(t)});
  eddy::hf::SafetensorsWriter writer(folder / "model.safetensors", declared);
  for (const auto& [name, t] : tensors) writer.write(std::get<2>(t).data(), std::get<2>(t).size());
  writer.commit();
}

}  // namespace eddy_test
