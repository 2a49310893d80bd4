#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "convert_audit.h"
#include "convert_common.h"

namespace eddy::convert {
namespace {

const std::string kModel = "model/", kFirst = "optim.m/", kSecond = "optim.v/";

std::int64_t updates_of(const Contents& c) {
  return c.checkpoint()->meta().value("updates", std::int64_t{0});
}

struct MomentCheck {
  std::int64_t negative = 0, beyond = 0, bad = 0;
  bool first_zero = true, second_zero = true;
};

/// |m| <= bound · sqrt(v) whatever the gradients were (Cauchy-Schwarz on both sums): the bound is
/// (1 - b1) / sqrt((1 - b2) (1 - b1² / b2)), 1.17 for 0.9 and 0.95, 7.3 for 0.9 and 0.999. Moments of two different
/// steps, tensors or places break it.
constexpr float kBound = 10;

MomentCheck check(const Contents& c, const std::string& name) {
  MomentCheck out;
  const Item& item = c.items().at(kFirst + name);
  const std::int64_t rows = item.shape.empty() ? 1 : item.shape[0];
  const std::int64_t row = rows ? item.elements() / rows : 0;
  const std::int64_t most = std::max<std::int64_t>(1, (1 << 20) / std::max<std::int64_t>(1, row));
  std::vector<float> m, v;
  for (std::int64_t r = 0; r < rows && row > 0; r += most) {
    const std::int64_t n = std::min(most, rows - r);
    read_as_f32(c, kFirst + name, r, n, m);
    read_as_f32(c, kSecond + name, r, n, v);
    for (std::size_t i = 0; i < m.size(); ++i) {
      out.first_zero = out.first_zero && m[i] == 0;
      out.second_zero = out.second_zero && v[i] == 0;
      out.negative += v[i] < 0;
      out.bad += !std::isfinite(m[i]) || !std::isfinite(v[i]);
      out.beyond += std::abs(m[i]) > kBound * std::sqrt(std::max(v[i], 0.0f)) + 1e-20f;
    }
  }
  return out;
}

/// The checkpoints before this one in the same folder that were updated another number of times, the nearest first.
std::vector<std::unique_ptr<Contents>> before(const std::filesystem::path& path, std::int64_t updates, Audited& out) {
  std::vector<std::unique_ptr<Contents>> found;
  const auto own = std::filesystem::absolute(path).lexically_normal();
  const auto name = own.has_filename() ? own : own.parent_path();
  for (const auto& other : checkpoint::list(name.parent_path()))
    if (other.filename() < name.filename()) try {
        auto older = std::make_unique<Contents>(other, Contents::Names::own);
        if (updates_of(*older) != updates) found.insert(found.begin(), std::move(older));
      } catch (const Error& e) {
        out.notes.push_back(fmt::format("the moments were not compared with {}'s: {}", other.string(), e.what()));
      }
  return found;
}

bool equal(const Contents& a, const Contents& b, const std::string& name) {
  const auto other = b.items().find(name);
  if (other == b.items().end() || other->second.shape != a.items().at(name).shape) return false;
  const Item& item = a.items().at(name);
  const std::int64_t rows = item.shape.empty() ? 1 : item.shape[0];
  const std::int64_t row = rows ? item.elements() / rows : 0;
  const std::int64_t most = std::max<std::int64_t>(1, (1 << 20) / std::max<std::int64_t>(1, row));
  std::vector<float> x, y;
  bool any = false;
  for (std::int64_t r = 0; r < rows && row > 0; r += most) {
    const std::int64_t n = std::min(most, rows - r);
    read_as_f32(a, name, r, n, x);
    read_as_f32(b, name, r, n, y);
    if (std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) != 0) return false;
    any = any || std::any_of(x.begin(), x.end(), [](float f) { return f != 0; });
  }
  return any;
}

}  // namespace

std::set<std::string> audit_moments(const Contents& c, int threads, Audited& out) {
  const auto& meta = c.checkpoint()->meta();
  const std::int64_t updates = updates_of(c), step = meta.value("step", std::int64_t{0});
  bool any = false;
  for (const auto& [name, item] : c.items()) any = any || name.starts_with(kFirst) || name.starts_with(kSecond);
  if (!any) {
    if (meta.contains("updates"))
      out.findings.push_back("the optimizer's moments are missing; the run cannot go on from here");
    return {};
  }
  if (updates > step)
    out.findings.push_back(fmt::format("the optimizer counts {} updates after {} steps", updates, step));
  std::vector<std::string> names;
  for (const auto& [name, item] : c.items()) {
    if (!name.starts_with(kModel) || name.ends_with("e_score_correction_bias")) continue;
    const std::string own = name.substr(kModel.size());
    bool there = true;
    for (const std::string& group : {kFirst, kSecond}) {
      const auto it = c.items().find(group + own);
      if (it == c.items().end())
        out.findings.push_back(fmt::format("'{}' is missing", group + own));
      else if (it->second.shape != item.shape)
        out.findings.push_back(fmt::format("'{}' has another shape than its parameter", group + own));
      there = there && it != c.items().end() && it->second.shape == item.shape;
    }
    if (there) names.push_back(own);
  }
  const auto older = before(c.checkpoint()->path(), updates, out);
  std::mutex mutex;
  in_parallel(names.size(), threads, [&](std::size_t i) {
    const MomentCheck found = check(c, names[i]);
    std::vector<std::string> wrong;
    const auto say = [&](const std::string& group, const std::string& what) {
      wrong.push_back(fmt::format("'{}{}': {}", group, names[i], what));
    };
    if (found.bad) say(kFirst, fmt::format("{} values of the moments are no numbers", found.bad));
    if (found.negative) say(kSecond, fmt::format("{} second moments are negative", found.negative));
    if (found.beyond)
      say(kFirst,
          fmt::format("{} first moments are larger than their second moments allow: they are of another step or "
                      "another tensor",
                      found.beyond));
    if (updates > 0 && (found.first_zero || found.second_zero))
      say(found.second_zero ? kSecond : kFirst, fmt::format("all zero after {} updates", updates));
    for (const std::string& group : {kFirst, kSecond})
      for (const auto& old : older)
        if (equal(c, *old, group + names[i])) {
          say(group, fmt::format("the same as in {}, {} updates ago: it is not of this step",
                                 old->checkpoint()->path().filename().string(), updates - updates_of(*old)));
          break;
        }
    const std::lock_guard lock(mutex);
    out.findings.insert(out.findings.end(), wrong.begin(), wrong.end());
  });
  std::set<std::string> read;
  for (const std::string& name : names) read.merge(std::set<std::string>{kFirst + name, kSecond + name});
  return read;
}

}  // namespace eddy::convert
