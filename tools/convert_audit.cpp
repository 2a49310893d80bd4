#include "convert_audit.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "convert_common.h"
#include "convert_write.h"
#include "hf/fp8.h"
#include "hf/scales.h"
#include "io/file.h"

namespace eddy::convert {
namespace fs = std::filesystem;
namespace {

bool is_bias(const std::string& name) {
  return name.ends_with("e_score_correction_bias");
}

/// "model.layers.#.mlp.experts.#.up_proj.weight": tensors that do the same work elsewhere.
std::string kind_of(const std::string& name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    const bool number = digit && (i == 0 || name[i - 1] == '.' || out.ends_with('#'));
    if (!number)
      out += name[i];
    else if (!out.ends_with('#'))
      out += '#';
  }
  return out;
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

/// Can equal content be chance? A tensor of few or constant values can; scales of few blocks as well, since they come
/// from bfloat16 magnitudes, of which there are few.
bool tells(const std::string& name, const Statistics& s) {
  if (s.constant() || s.count < 2) return false;
  const bool scales = !hf::weight_of_scale(name).empty();
  return s.count >= (scales ? 4 : 8);
}

void audit_equal(const AuditedModel& model, const std::map<std::string, Statistics>& statistics, Audited& out) {
  std::map<std::pair<std::uint64_t, std::vector<std::int64_t>>, std::string> seen;
  std::set<std::pair<std::string, std::string>> shared;  // MTP's copies may be the model's own
  for (const char* main : {"model.embed_tokens.weight", "lm_head.weight"})
    shared.insert({main, *hf::mtp_copy_of(model.config, main)});
  for (const auto& [name, s] : statistics) {
    if (!tells(name, s)) continue;
    const auto [it, is_new] = seen.try_emplace({s.hash, model.contents.items().at(name).shape}, name);
    if (is_new || shared.count({it->second, name}) || shared.count({name, it->second})) continue;
    // scales of equal matrices are reported with these
    if (const auto w = statistics.find(hf::weight_of_scale(name)), v = statistics.find(hf::weight_of_scale(it->second));
        w != statistics.end() && v != statistics.end() && w->second.hash == v->second.hash)
      continue;
    out.findings.push_back(fmt::format("'{}' and '{}' hold the same values", it->second, name));
  }
}

void audit_one(const std::string& name, const Statistics& s, Audited& out) {
  if (s.nans || s.infinities)
    out.findings.push_back(fmt::format("'{}': {} NaN and {} infinite values", name, s.nans, s.infinities));
  if (is_bias(name) && s.zeros == s.count)
    out.findings.push_back(
        fmt::format("'{}': the router's biases are all zero: they were not saved, or not learnt", name));
  else if (s.constant() && s.count > 1 && hf::weight_of_scale(name).empty())
    out.findings.push_back(fmt::format("'{}': every value is {:g}: it was never filled, or never learnt", name, s.min));
  else if (s.count >= 64 && s.zeros * 4 > s.count)
    out.findings.push_back(fmt::format("'{}': {:.1f}% of its values are zero", name,
                                       100 * static_cast<double>(s.zeros) / static_cast<double>(s.count)));
  if (s.blocks && s.loose_blocks * 2 > s.blocks)
    out.findings.push_back(
        fmt::format("'{}': in {} of {} FP8 blocks no value comes near 448: its scales are another tensor's", name,
                    s.loose_blocks, s.blocks));
  if (s.blocks && s.least_scale > 0 && s.largest_scale > 1e4 * s.least_scale && s.largest_scale > 1e3 * s.median_scale)
    out.findings.push_back(fmt::format("'{}': scales of {:g} to {:g} in one matrix, {:g} in the middle", name,
                                       s.least_scale, s.largest_scale, s.median_scale));
}

/// A tensor beside those that do the same work in other layers and experts.
void audit_siblings(const AuditedModel& model, const std::map<std::string, Statistics>& statistics, Audited& out) {
  std::map<std::string, std::vector<std::string>> kinds;
  for (const auto& [name, s] : statistics)
    if (hf::weight_of_scale(name).empty() && s.std > 0) kinds[kind_of(name)].push_back(name);
  const double initial = model.config.initializer_range;
  const auto at_initial = [&](const Statistics& s) {
    const double chance = std::max(0.02, 3 / std::sqrt(2 * static_cast<double>(s.count)));
    return s.count >= 4096 && std::abs(s.std - initial) < chance * initial && std::abs(s.mean) < 0.05 * initial &&
           std::abs(s.kurtosis - 3) < 0.2;
  };
  for (const auto& [kind, names] : kinds) {
    if (names.size() < 2) continue;
    std::vector<double> stds;
    for (const auto& name : names) stds.push_back(statistics.at(name).std);
    const double middle = median(stds);
    for (const auto& name : names) {
      const Statistics& s = statistics.at(name);
      if (names.size() >= 3 && (s.std > 50 * middle || s.std < middle / 50))
        out.findings.push_back(fmt::format(
            "'{}': its values spread by {:g}, those of its like ({} tensors) by {:g}: {}", name, s.std, names.size(),
            middle, is_bias(name) ? "the router's biases are at another scale" : "it is not scaled as it should be"));
      else if (at_initial(s) && std::abs(middle - initial) > 0.05 * initial)
        out.findings.push_back(fmt::format(
            "'{}': Gaussian values that spread by initializer_range ({:g}), unlike those of its like ({:g}): "
            "it was left at its first values",
            name, initial, middle));
    }
  }
}

}  // namespace

AuditedModel audited_model(const Contents& contents) {
  AuditedModel m{contents, {}, false, {}};
  bool copies = false;
  if (contents.folder()) {
    m.config = contents.folder()->config();
    m.has_mtp = contents.folder()->has_mtp();
  } else {
    const SavedModel saved = saved_model(*contents.checkpoint());
    m.config = saved.config;
    m.has_mtp = saved.has_mtp;
    copies = saved.mtp_copies;
  }
  m.expected = hf::expected_tensors(m.config, m.has_mtp, copies);
  return m;
}

void audit_names(const AuditedModel& m, Audited& out) {
  std::set<std::string> known;
  for (const auto& t : m.expected) {
    known.insert(t.name);
    if (!m.contents.has(t.name)) {
      out.findings.push_back(fmt::format("'{}' is missing", t.name));
      continue;
    }
    const Item& item = m.contents.items().at(t.name);
    if (item.shape != t.shape) {
      out.findings.push_back(fmt::format("'{}' has shape {}, config.json asks for {}", t.name,
                                         hf::shape_text(item.shape), hf::shape_text(t.shape)));
    } else if (item.dtype == Dtype::f8e4m3) {
      known.insert(hf::scale_name(t.name));
      try {
        m.contents.scales(t.name);
      } catch (const Error& e) {
        out.findings.push_back(e.what());
      }
    } else if (item.dtype != Dtype::f32 && item.dtype != Dtype::bf16) {
      out.findings.push_back(fmt::format("'{}' is {}; weights are f32, bf16 or f8e4m3", t.name, name_of(item.dtype)));
    }
    if (is_bias(t.name) && item.dtype != Dtype::f32)
      out.findings.push_back(
          fmt::format("'{}' is {}: too coarse for the router's biases, which are f32", t.name, name_of(item.dtype)));
  }
  for (const char* main : {"model.embed_tokens.weight", "lm_head.weight"})
    known.insert(*hf::mtp_copy_of(m.config, main));
  for (const auto& [name, item] : m.contents.items()) {
    if (known.count(name)) continue;
    const std::string matrix = hf::weight_of_scale(name);
    if (known.count(matrix))
      out.findings.push_back(fmt::format("'{}' are FP8 scales of a weight that is not FP8", name));
    else
      out.notes.push_back(fmt::format("'{}' is no part of the model that config.json describes", name));
  }
  if (m.config.num_mtp_layers > 0 && !m.has_mtp)
    out.findings.push_back(
        fmt::format("the multi-token-prediction layer (model.layers.{}.*), which config.json "
                    "announces, is missing",
                    m.config.num_layers));
}

void audit_values(const AuditedModel& m, const std::map<std::string, Statistics>& statistics, Audited& out) {
  for (const auto& [name, s] : statistics) audit_one(name, s, out);
  audit_equal(m, statistics, out);
  audit_siblings(m, statistics, out);
  if (!m.contents.folder()) return;
  const auto kept = hf::read_kept_scales(m.contents.folder()->path());
  if (!kept) return;
  for (const auto& [name, s] : kept->scales) {
    const std::string matrix = hf::weight_of_scale(name);
    if (!m.contents.has(matrix))
      out.findings.push_back(fmt::format("{}: '{}' belongs to no weight", hf::kScalesFile, name));
    else if (m.contents.items().at(matrix).shape.size() != 2 ||
             s.shape != hf::fp8_scale_shape(m.contents.items().at(matrix).shape))
      out.findings.push_back(
          fmt::format("{}: '{}' is of another shape than its weight's blocks", hf::kScalesFile, name));
  }
}

namespace {

/// Up to three windows of rows: first, middle, last.
std::vector<float> sample(const Contents& contents, const std::string& name) {
  const Item& item = contents.items().at(name);
  const std::int64_t rows = item.shape.empty() ? 1 : item.shape[0];
  const std::int64_t row = rows ? std::max<std::int64_t>(1, item.elements() / rows) : 1;
  const std::int64_t window = std::clamp<std::int64_t>(65536 / row, 1, std::max<std::int64_t>(1, rows));
  std::vector<float> all, part;
  std::set<std::int64_t> starts{0, (rows - window) / 2, rows - window};
  for (const std::int64_t first : starts) {
    if (first < 0 || rows == 0) continue;
    read_as_f32(contents, name, first, window, part);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// |a - b| / |b|; 0 for two empty or zero tensors.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double d = 0, n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    d += (x - y) * (x - y);
    n += y * y;
  }
  return d == 0 ? 0 : n == 0 ? INFINITY : std::sqrt(d / n);
}

constexpr double kFar = 0.1;  // fine-tuning moves weights by some thousandths
/// Training moves each of the router's biases by a fixed amount a step, whatever its size.
constexpr double kFarBias = 10;

/// "…mlp.experts.7.up_proj.weight" → the same of all experts.
std::vector<std::string> other_experts(const hf::ModelConfig& config, const std::string& name) {
  const std::string mark = ".mlp.experts.";
  const std::size_t at = name.find(mark);
  if (at == std::string::npos) return {};
  const std::size_t number = at + mark.size(), rest = name.find('.', number);
  std::vector<std::string> out;
  for (int e = 0; e < config.n_routed_experts; ++e)
    out.push_back(name.substr(0, number) + std::to_string(e) + name.substr(rest));
  return out;
}

}  // namespace

void audit_against(const AuditedModel& m, const Contents& reference, int threads, Audited& out) {
  std::vector<std::string> both;
  for (const auto& t : m.expected) {
    if (!m.contents.has(t.name)) continue;
    if (!reference.has(t.name))
      out.notes.push_back(fmt::format("'{}' is not in the reference", t.name));
    else if (m.contents.items().at(t.name).shape != reference.items().at(t.name).shape)
      out.findings.push_back(fmt::format("'{}' has another shape than in the reference", t.name));
    else
      both.push_back(t.name);
  }
  std::mutex mutex;
  in_parallel(both.size(), threads, [&](std::size_t i) {
    const std::string& name = both[i];
    const std::vector<float> mine = sample(m.contents, name);
    const double d = distance(mine, sample(reference, name));
    if (d <= (is_bias(name) ? kFarBias : kFar)) return;
    std::string what = fmt::format("'{}' is far from the reference's ({:.3g} of its norm)", name, d);
    for (const std::string& other : other_experts(m.config, name))
      if (other != name && reference.has(other) && distance(mine, sample(reference, other)) <= kFar)
        what += fmt::format("; it holds what '{}' holds there: experts are exchanged", other);
    const std::lock_guard lock(mutex);
    out.findings.push_back(what);
  });
  std::sort(out.findings.begin(), out.findings.end());
}

void audit_files(const hf::Folder& model, int threads, Audited& out) {
  const fs::path& folder = model.path();
  std::set<std::string> used;
  for (const auto& [name, t] : model.tensors()) used.insert(fs::path(t.file).filename().string());
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors" && !used.count(entry.path().filename().string()))
      out.notes.push_back(fmt::format("{} holds no tensor of the model: no loader reads it", entry.path().string()));
  const fs::path list = folder / kFilesList;
  if (!fs::exists(list)) {
    out.notes.push_back("no hashes of its files are known (eddy-convert writes them with the folders it makes)");
    return;
  }
  const auto json = parse_json<nlohmann::json>(io::read_file(list), list.string());
  if (!json.is_object() || !json.contains("files") || !json["files"].is_object())
    fail_input("{}: has no list of files", list.string());
  std::vector<std::pair<std::string, nlohmann::json>> files;
  for (const auto& [name, value] : json["files"].items()) files.emplace_back(name, value);
  std::mutex mutex;
  in_parallel(files.size(), threads, [&](std::size_t i) {
    const auto& [name, said] = files[i];
    std::string wrong;
    if (const fs::path path = folder / fs::path(name).filename(); !fs::exists(path)) {
      wrong = "is missing";
    } else {
      const io::MappedFile file(path);
      Xxh3Stream hash;
      hash.update(file.bytes().data(), file.bytes().size());
      if (!said.is_object() || !said.contains("bytes") || said["bytes"] != file.bytes().size() ||
          !said.contains("xxh3") || said["xxh3"] != hex64(hash.digest()))
        wrong = "was altered since it was written (its hash is another)";
    }
    const std::lock_guard lock(mutex);
    if (!wrong.empty()) out.findings.push_back(fmt::format("{} {}", (folder / name).string(), wrong));
  });
}

}  // namespace eddy::convert
