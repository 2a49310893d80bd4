#include "parallel/mesh.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace eddy::parallel {
namespace {

/// Why the layout is impossible, beginning with the option's name; empty when it is possible.
std::string trouble(const Layout& l, const Divisors& m) {
  const struct {
    const char* name;
    int value;
  } options[] = {{"parallel.tp", l.tp},
                 {"parallel.ep", l.ep},
                 {"parallel.pp", l.pp},
                 {"parallel.cp", l.cp},
                 {"parallel.world", l.world}};
  for (const auto& o : options)
    if (o.value < 1) return fmt::format("{} = {}: at least 1 is needed", o.name, o.value);
  if (l.cp != 1)
    return fmt::format("parallel.cp = {}: context parallelism comes in a later version, only 1 works now", l.cp);
  const auto limited = [](int limit) { return limit > 1; };
  if (limited(m.heads) && m.heads % l.tp != 0)
    return fmt::format("parallel.tp = {} does not divide the model's {} attention heads", l.tp, m.heads);
  if (limited(m.dense_width) && m.dense_width % l.tp != 0)
    return fmt::format("parallel.tp = {} does not divide the width {} of the model's dense layers", l.tp,
                       m.dense_width);
  if (limited(m.layers) && l.pp > m.layers)
    return fmt::format("parallel.pp = {} is more than the model's {} layers", l.pp, m.layers);
  if (limited(m.experts) && m.experts % l.ep != 0)
    return fmt::format("parallel.ep = {} does not divide the model's {} routed experts", l.ep, m.experts);
  const std::int64_t replica = std::int64_t{l.tp} * l.pp;
  if (replica > l.world)
    return fmt::format("parallel.tp × parallel.pp = {} × {} needs {} ranks or a multiple of it, but there {} {}", l.tp,
                       l.pp, replica, l.world == 1 ? "is" : "are", l.world);
  if (l.world % replica != 0)
    return fmt::format("parallel.tp × parallel.pp = {} × {} does not divide the {} ranks", l.tp, l.pp, l.world);
  if (l.stage_size() % l.ep != 0)
    return fmt::format(
        "parallel.ep = {} does not divide the {} ranks of a pipeline stage ({} ranks / parallel.pp = {})", l.ep,
        l.stage_size(), l.world, l.pp);
  return "";
}

std::vector<int> divisors(int n) {
  std::vector<int> d;
  for (int i = 1; std::int64_t{i} * i <= n; ++i)
    if (n % i == 0) {
      d.push_back(i);
      if (i != n / i) d.push_back(n / i);
    }
  std::sort(d.begin(), d.end());
  return d;
}

/// The possible layouts most like the one asked for. The number of ranks is the hardest thing to change.
std::vector<Layout> nearest_layouts(const Layout& asked, const Divisors& model, std::size_t how_many) {
  const auto positive = [](int v) { return std::max(v, 1); };
  const Layout wish{positive(asked.world), positive(asked.tp), positive(asked.ep), positive(asked.pp), 1};
  std::vector<int> worlds{wish.world};
  const std::int64_t unit = std::int64_t{wish.tp} * wish.pp, staged = std::lcm(unit, std::int64_t{wish.ep} * wish.pp);
  for (const std::int64_t step : {unit, staged})
    for (const std::int64_t w : {wish.world / step * step, (wish.world / step + 1) * step})
      if (w > 0 && w <= 4 * std::int64_t{wish.world} + unit && w < (1 << 24)) worlds.push_back(static_cast<int>(w));
  std::sort(worlds.begin(), worlds.end());
  worlds.erase(std::unique(worlds.begin(), worlds.end()), worlds.end());

  std::vector<std::pair<double, Layout>> found;
  const auto far = [](int a, int b) { return std::abs(std::log2(static_cast<double>(a) / b)); };
  for (const int world : worlds)
    for (const int tp : divisors(world))
      for (const int pp : divisors(world / tp))
        for (const int ep : divisors(world / pp)) {
          const Layout l{world, tp, ep, pp, 1};
          if (!trouble(l, model).empty()) continue;
          const double distance = 4 * far(world, wish.world) + far(tp, wish.tp) + far(ep, wish.ep) + far(pp, wish.pp);
          found.emplace_back(distance, l);
        }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Layout> nearest;
  for (const auto& [distance, l] : found)
    if (nearest.size() < how_many) nearest.push_back(l);
  return nearest;
}

}  // namespace

std::string Layout::text() const {
  return fmt::format("TP{} EP{} PP{} DP{} ({} rank{})", tp, ep, pp, dp(), world, world == 1 ? "" : "s");
}

void validate(const Layout& layout, const Divisors& model) {
  const std::string why = trouble(layout, model);
  if (why.empty()) return;
  std::string nearest;
  for (const Layout& l : nearest_layouts(layout, model, 4)) nearest += (nearest.empty() ? "" : "; ") + l.text();
  fail_input("{}. Nearest possible layouts: {}", why, nearest);
}

Coordinates coordinates(const Layout& l, int rank) {
  const int place = rank % l.stage_size();
  return {.pp = rank / l.stage_size(), .dp = place / l.tp, .tp = place % l.tp, .edp = place / l.ep, .ep = place % l.ep};
}

const char* name_of(Group g) {
  switch (g) {
    case Group::world:
      return "world";
    case Group::tp:
      return "tp";
    case Group::dp:
      return "dp";
    case Group::pp:
      return "pp";
    case Group::ep:
      return "ep";
    case Group::edp:
      return "edp";
    case Group::stage:
      return "stage";
    case Group::tied:
      return "tied";
  }
  return "?";
}

std::vector<int> members(const Layout& l, Group group, int rank) {
  const int stage = rank / l.stage_size() * l.stage_size(), place = rank - stage;  // first rank of the stage
  const auto every = [](int first, int count, int step) {
    std::vector<int> ranks(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) ranks[static_cast<std::size_t>(i)] = first + i * step;
    return ranks;
  };
  switch (group) {
    case Group::world:
      return every(0, l.world, 1);
    case Group::tp:
      return every(stage + place / l.tp * l.tp, l.tp, 1);
    case Group::dp:
      return every(stage + place % l.tp, l.dp(), l.tp);
    case Group::pp:
      return every(place, l.pp, l.stage_size());
    case Group::ep:
      return every(stage + place / l.ep * l.ep, l.ep, 1);
    case Group::edp:
      return every(stage + place % l.ep, l.edp(), l.ep);
    case Group::stage:
      return every(stage, l.stage_size(), 1);
    case Group::tied: {
      const int last = l.world - l.stage_size();
      if (l.pp == 1 || (stage != 0 && stage != last)) return {rank};
      return {place, last + place};
    }
  }
  fail_run("no such group: {}", static_cast<int>(group));
}

}  // namespace eddy::parallel
