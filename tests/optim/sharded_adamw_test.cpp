// The optimizer on 1, 2, 4 ranks against one hand-written AdamW over whole tensors.
#include "optim/sharded_adamw.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "base/error.h"
#include "catch.h"
#include "comm/session.h"

using namespace eddy;
using optim::AdamwOptions;
using optim::ShardedAdamw;
using parallel::Group;
using parallel::Layout;
using parallel::ParameterInfo;

namespace {

comm::Session& session() {
  static comm::Session* s = [] {  // MPI is initialised by the test's main; never finalized here
    static int argc = 0;
    static char** argv = nullptr;
    return new comm::Session(&argc, &argv);
  }();
  return *s;
}

ParameterInfo whole(const std::string& name, std::vector<std::int64_t> shape, Group replicas) {
  ParameterInfo p;
  p.name = name;
  p.begin.assign(shape.size(), 0);
  p.extent = p.global_shape = std::move(shape);
  p.replicas = replicas;
  p.decay = p.global_shape.size() > 1;
  return p;
}

/// A model with every kind of parameter; with two stages, the last one has a copy of the first one's embedding.
std::vector<ParameterInfo> infos_of_rank(const Layout& layout, int rank) {
  const auto at = parallel::coordinates(layout, rank);
  std::vector<ParameterInfo> out;
  const auto embedding = [&] {
    auto p = whole("model.embed_tokens.weight", {520, 3}, Group::dp);
    p.extent[0] = 520 / layout.tp;
    p.begin[0] = p.extent[0] * at.tp;
    return p;
  };
  if (at.pp == 0) {
    out.push_back(embedding());
    out.push_back(whole("a.norm", {7}, Group::stage));
  }
  if (at.pp == layout.pp - 1) {
    auto experts = whole("b.experts", {4, 130, 2}, Group::edp);
    experts.extent[0] = 4 / layout.ep;
    experts.begin[0] = experts.extent[0] * at.ep;
    out.push_back(experts);
    auto bias = whole("b.bias", {4}, Group::stage);
    bias.trainable = false;
    out.push_back(bias);
    out.push_back(whole("b.matrix", {300, 5}, Group::stage));
    if (layout.pp > 1) {
      out.push_back(embedding());
      out.back().tied_copy = true;
    }
  }
  return out;
}

double noise(const std::string& name, std::int64_t i, int salt) {
  return std::sin(static_cast<double>(i * 7 + 3) * 0.37 + static_cast<double>(name.size()) + salt);
}

/// Sets each element of a block from its place in the global tensor.
template <class F>
void fill(const ParameterInfo& info, float* data, F&& value) {
  for (std::int64_t i = 0; i < info.numel(); ++i) {
    std::int64_t rest = i, index = 0, stride = 1;
    for (std::size_t a = info.extent.size(); a-- > 0;) {
      index += (rest % info.extent[a] + info.begin[a]) * stride;
      rest /= info.extent[a];
      stride *= info.global_shape[a];
    }
    data[i] = static_cast<float>(value(index));
  }
}

constexpr AdamwOptions kOptions{.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .clip_norm = 5};

struct Reference {
  std::map<std::string, std::vector<double>> p, m, v;
  int t = 0;
  Reference() {
    for (const auto& info : infos_of_rank({}, 0))
      for (std::int64_t i = 0; i < info.global_numel(); ++i) p[info.name].push_back(noise(info.name, i, 0));
  }
  /// Gradients with the clipping factor applied; returns the norm before it.
  double step(double lr) {
    ++t;
    double squares = 0;
    for (const auto& info : infos_of_rank({}, 0))
      if (info.trainable)
        for (std::int64_t i = 0; i < info.global_numel(); ++i) squares += std::pow(noise(info.name, i, t), 2);
    const double norm = std::sqrt(squares), scale = std::min(1.0, kOptions.clip_norm / norm);
    for (const auto& info : infos_of_rank({}, 0)) {
      if (!info.trainable) continue;
      m[info.name].resize(p[info.name].size());
      v[info.name].resize(p[info.name].size());
      for (std::size_t i = 0; i < p[info.name].size(); ++i) {
        const double g = noise(info.name, static_cast<std::int64_t>(i), t) * scale;
        double& mi = m[info.name][i];
        double& vi = v[info.name][i];
        mi = 0.9 * mi + 0.1 * g;
        vi = 0.99 * vi + 0.01 * g * g;
        const double update = mi / (1 - std::pow(0.9, t)) / (std::sqrt(vi / (1 - std::pow(0.99, t))) + 1e-8);
        p[info.name][i] -= lr * ((info.decay ? 0.1 : 0) * p[info.name][i] + update);
      }
    }
    return norm;
  }
};

constexpr std::int64_t kBuckets = 400;  // elements: several buckets of each kind

struct Model {
  parallel::Groups groups;
  parallel::ParameterStore store;
  ShardedAdamw optimizer;
  explicit Model(const Layout& layout, std::int64_t buckets = kBuckets)
      : groups(parallel::make_groups(session().world(), layout)),
        store(infos_of_rank(layout, session().rank()), true, {}, parallel::Replicas(layout, buckets)),
        optimizer(store, groups, kOptions) {
    for (const auto& p : store.all()) fill(p.info, p.value.f32(), [&](auto i) { return noise(p.info.name, i, 0); });
  }
  /// Each holder of a block gets an unequal share of the gradient of step t; the shares sum to it exactly.
  void set_gradients(int t) {
    const bool tied = groups.layout.pp > 1;
    for (const auto& p : store.all()) {
      if (!p.grad) continue;
      const auto& replicas = groups.of(p.info.replicas);
      double share = 1.0 / (1 << replicas.rank());
      if (replicas.rank() > 0 && replicas.rank() == replicas.size() - 1) share *= 2;  // ½ + ¼ + ¼
      if (replicas.size() > 1 && replicas.rank() < replicas.size() - 1) share /= 2;
      if (replicas.size() > 1 && replicas.rank() == replicas.size() - 1) share /= 2;
      if (tied && p.info.name == "model.embed_tokens.weight") share *= p.info.tied_copy ? 0.25 : 0.75;
      fill(p.info, p.grad.f32(), [&](auto i) { return share * noise(p.info.name, i, t); });
    }
  }
};

std::vector<Layout> layouts() {
  const int n = session().size();
  std::vector<Layout> out;
  for (const int pp : {1, 2})
    for (const int tp : {1, 2, 4})
      for (const int ep : {1, 2, 4})
        if (n % (pp * tp) == 0 && n / pp % ep == 0) out.push_back({n, tp, ep, pp, 1});
  return out;
}

}  // namespace

TEST_CASE("two steps worked by hand") {
  if (session().size() > 1) return;
  const auto groups = parallel::make_groups(session().world(), {});
  auto info = whole("p", {1, 2}, Group::stage);
  const parallel::ParameterStore store({info}, true);
  auto options = kOptions;
  options.clip_norm = 0;
  ShardedAdamw optimizer(store, groups, options);
  float* p = store.at("p").value.f32();
  float* g = store.at("p").grad.f32();
  p[0] = 1, p[1] = 2, g[0] = 0.5F, g[1] = -1;
  CHECK(optimizer.step(0.1).grad_norm == approx(std::sqrt(1.25)));
  CHECK(p[0] == approx(0.89));  // 1 · (1 - 0.1 · 0.1) - 0.1 · 0.5 / √0.25
  CHECK(p[1] == approx(2.08));
  g[0] = 0.5F, g[1] = 1;
  optimizer.step(0.1);
  CHECK(p[0] == approx(0.7811));
  CHECK(p[1] == approx(2.0592 - 0.1 * (0.01 / 0.19)));
}

TEST_CASE("every layout updates as one rank does; the norm counts each element once; clipping bites") {
  for (const auto& layout : layouts()) {
    INFO(layout.text());
    Model model(layout);
    Reference reference;
    for (int t = 1; t <= 3; ++t) {
      model.set_gradients(t);
      const double norm = reference.step(0.01);
      REQUIRE(norm > 5);
      CHECK(model.optimizer.step(0.01).grad_norm == approx(norm).epsilon(1e-6));
    }
    double worst = 0;
    for (const auto& p : model.store.all()) {
      std::vector<float> expected(static_cast<std::size_t>(p.info.numel()));
      fill(p.info, expected.data(), [&](auto i) { return reference.p[p.info.name][static_cast<std::size_t>(i)]; });
      for (std::size_t i = 0; i < expected.size(); ++i)
        worst = std::max(worst, static_cast<double>(std::abs(p.value.f32()[i] - expected[i])));
    }
    CHECK(worst < 1e-6);
    CHECK(model.optimizer.updates() == 3);
  }
}

TEST_CASE("over all ranks each element is saved exactly once, with its value; moments too") {
  for (const auto& layout : layouts()) {
    INFO(layout.text());
    Model model(layout);
    Reference reference;
    reference.step(0.01);
    model.set_gradients(1);
    model.optimizer.step(0.01);
    std::int64_t moments = 0;
    for (const auto& info : infos_of_rank({}, 0))
      for (const std::string prefix : {"model/", "optim.m/", "optim.v/"}) {
        if (prefix != "model/" && !info.trainable) continue;
        const auto n = static_cast<std::size_t>(info.global_numel());
        std::vector<float> seen(n), sum(n);
        for (const auto& slice : model.optimizer.owned()) {
          if (slice.name != prefix + info.name) continue;
          CHECK(slice.global_shape == info.global_shape);
          ParameterInfo box = info;
          box.begin = slice.begin;
          box.extent = slice.view.shape.vector();
          if (prefix != "model/") moments += slice.view.numel();
          std::vector<float> index(static_cast<std::size_t>(box.numel()));
          fill(box, index.data(), [](auto i) { return static_cast<double>(i); });
          for (std::size_t i = 0; i < index.size(); ++i) {
            seen[static_cast<std::size_t>(index[i])] += 1;
            sum[static_cast<std::size_t>(index[i])] += slice.view.f32()[i];
          }
        }
        session().world().all_reduce(seen.data(), n, Dtype::f32, comm::Reduce::sum);
        session().world().all_reduce(sum.data(), n, Dtype::f32, comm::Reduce::sum);
        const auto& expected = prefix == "model/"     ? reference.p[info.name]
                               : prefix == "optim.m/" ? reference.m[info.name]
                                                      : reference.v[info.name];
        double worst = 0;
        for (std::size_t i = 0; i < n; ++i)
          worst = std::max({worst, std::abs(seen[i] - 1.0), std::abs(sum[i] - expected[i])});
        INFO(prefix + info.name);
        CHECK(worst < 1e-6);
      }
    std::int64_t planned = 0;
    for (const auto kind : parallel::ParameterStore::kKinds)
      planned += optim::owned_elements(model.store.infos_of(kind), model.store.plan_of(kind));
    CHECK(model.optimizer.moment_bytes() == static_cast<std::size_t>(8 * planned));
    CHECK(moments <= 2 * planned);  // parts are equal: what fills them up has moments too
    CHECK(model.optimizer.master_bytes() == 0);
  }
}

TEST_CASE("sums begun during the backward pass give the bits of sums at its end, whatever the buckets") {
  for (const auto& layout : layouts()) {
    INFO(layout.text());
    Model late(layout), early(layout), whole(layout, parallel::kBucketElements);
    for (int t = 1; t <= 2; ++t) {
      for (Model* m : {&late, &whole}) m->set_gradients(t);
      // Gradients appear from the last parameter to the first, and nothing of one that was announced is touched again.
      early.set_gradients(t);
      std::vector<std::vector<float>> right;
      for (const auto& p : early.store.all()) {
        if (!p.grad) continue;
        right.emplace_back(p.grad.f32(), p.grad.f32() + p.grad.numel());
        std::fill_n(p.grad.f32(), p.grad.numel(), std::numeric_limits<float>::quiet_NaN());
      }
      for (std::size_t i = early.store.all().size(); i-- > 0;) {
        const auto& p = early.store.all()[i];
        if (p.grad) {
          std::copy(right.back().begin(), right.back().end(), p.grad.f32());
          right.pop_back();
        }
        if (i % 2 == 0) early.optimizer.begin_sums(p);
      }
      const double norm = late.optimizer.step(0.01).grad_norm;
      CHECK(early.optimizer.step(0.01).grad_norm == approx(norm).epsilon(1e-12));
      CHECK(whole.optimizer.step(0.01).grad_norm == approx(norm).epsilon(1e-12));
    }
    for (const auto& p : late.store.all()) {
      INFO(p.info.name);
      CHECK(std::memcmp(p.value.data, early.store.at(p.info.name).value.data, p.value.bytes()) == 0);
      CHECK(std::memcmp(p.value.data, whole.store.at(p.info.name).value.data, p.value.bytes()) == 0);
    }
  }
}

TEST_CASE("a parameter that nothing was added to counts as zero") {
  Model model({session().size(), 1, 1, 1, 1});
  model.set_gradients(1);
  for (const auto& p : model.store.all())
    if (p.info.name == "b.matrix") {
      p.grad_fresh = true;
      std::fill_n(p.grad.f32(), p.grad.numel(), 1e30F);
    }
  model.optimizer.begin_sums(model.store.all().front());
  double squares = 0;
  for (const auto& info : infos_of_rank({}, 0))
    if (info.trainable && info.name != "b.matrix")
      for (std::int64_t i = 0; i < info.global_numel(); ++i) squares += std::pow(noise(info.name, i, 1), 2);
  CHECK(model.optimizer.step(0.01).grad_norm == approx(std::sqrt(squares)).epsilon(1e-6));
}

TEST_CASE("a store that is laid out for other ranks is refused") {
  const int n = session().size();
  const auto groups = parallel::make_groups(session().world(), {n, 1, 1, 1, 1});
  const parallel::ParameterStore store(infos_of_rank({}, 0), true, {}, parallel::Replicas({n + 1, 1, 1, 1, 1}));
  CHECK_THROWS_AS(ShardedAdamw(store, groups, kOptions), eddy::Error);
}

TEST_CASE("a gradient that is not finite on one rank is skipped by all, and changes nothing") {
  Model model({session().size(), 1, 1, 1, 1});
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    model.set_gradients(1);
    if (session().rank() == session().size() - 1) model.store.at("b.matrix").grad.f32()[77] = bad;
    const auto result = model.optimizer.step(0.01);
    CHECK(result.skipped);
    CHECK(!std::isfinite(result.grad_norm));
  }
  model.set_gradients(1);
  CHECK(model.optimizer.step(0.01, false).skipped);
  CHECK(model.optimizer.updates() == 0);
  for (const auto& p : model.store.all()) {
    std::vector<float> before(static_cast<std::size_t>(p.info.numel()));
    fill(p.info, before.data(), [&](auto i) { return noise(p.info.name, i, 0); });
    CHECK(std::memcmp(before.data(), p.value.data, p.value.bytes()) == 0);
  }
}

TEST_CASE("the last stage's copy of the embedding stays bit for bit the first stage's, without state of its own") {
  const int n = session().size();
  if (n < 2) return;
  Model model({n, 1, 1, 2, 1});
  for (int t = 1; t <= 2; ++t) {
    model.set_gradients(t);
    model.optimizer.step(0.01);
  }
  const auto value = model.store.at("model.embed_tokens.weight").value;
  tensor::Tensor other = tensor::Tensor::zeros({520, 3});
  if (model.groups.at.pp == 0) std::memcpy(other.view().data, value.data, value.bytes());
  model.groups.tied->broadcast(other.view().data, 520 * 3, Dtype::f32, 0);
  CHECK(std::memcmp(other.view().data, value.data, value.bytes()) == 0);
  for (const auto& slice : model.optimizer.owned())
    if (model.groups.at.pp == 1) CHECK(slice.name.find("embed") == std::string::npos);
}
