// On GPUs: sums of gradients that run beside the computation which makes the other gradients, and gathers that run
// beside the update, give the bits of those that wait for each other; a step takes no memory.
#include <cmath>
#include <cstring>

#include "catch.h"
#include "comm/gpu.h"
#include "device/gpu.h"
#include "kernels/elementwise/elementwise.h"
#include "optim/sharded_adamw.h"
#include "support.h"

using namespace eddy;
using parallel::Group;
using parallel::ParameterInfo;
using tensor::Tensor;

namespace {

std::vector<ParameterInfo> infos(Dtype dtype) {
  std::vector<ParameterInfo> out;
  const auto add = [&](std::vector<std::int64_t> shape, Group replicas) {
    ParameterInfo p;
    p.name = "p" + std::to_string(out.size());
    p.begin.assign(shape.size(), 0);
    p.extent = p.global_shape = std::move(shape);
    p.replicas = replicas;
    p.dtype = dtype;
    out.push_back(std::move(p));
  };
  for (int layer = 0; layer < 3; ++layer) {
    add({1000 + layer}, Group::stage);
    add({1777, 1024}, Group::dp);
    add({576, 1024}, Group::stage);
    add({4, 512, 1024}, Group::edp);
  }
  return out;
}

/// Whole numbers, whose sums over the ranks are exact.
Tensor gradient(const ParameterInfo& info, int rank, int step) {
  Tensor t(tensor::Shape(info.extent));
  for (std::int64_t i = 0; i < info.numel(); ++i)
    t.f32()[i] = static_cast<float>((i * 3 + rank * 7 + step + i / 13 + info.numel()) % 13 - 6);
  return t;
}

struct Model {
  parallel::ParameterStore store;
  optim::ShardedAdamw optimizer;
  std::vector<Tensor> wanted;
  Model(const parallel::Groups& groups, Dtype dtype, const device::Stream& stream)
      : store(infos(dtype), true, stream, parallel::Replicas(groups.layout, 1 << 20)), optimizer(store, groups, {}) {
    optimizer.fill([](const parallel::Parameter& p) {
      for (std::int64_t i = 0; i < p.info.numel(); ++i) p.value.f32()[i] = static_cast<float>(i % 31) / 64.f;
    });
    for (const auto& p : store.all()) wanted.emplace_back(p.grad.shape, Dtype::f32, stream);
  }
  /// From the last parameter to the first, each behind work that takes a while; announced at once when `early`.
  void backward(int rank, int step, bool early, const Tensor& from, const Tensor& to) {
    const auto& stream = store.stream();
    store.begin_gradients();
    for (std::size_t i = 0; i < wanted.size(); ++i)
      tensor::put(stream, gradient(store.all()[i].info, rank, step), wanted[i]);
    for (std::size_t i = wanted.size(); i-- > 0;) {
      const auto& p = store.all()[i];
      kernels::fill(stream, p.grad, 1e20F);  // what a sum that does not wait would read
      for (int again = 0; again < 10; ++again) kernels::copy(stream, from, to);
      kernels::copy(stream, wanted[i], p.grad);
      p.grad_fresh = false;
      if (early) optimizer.begin_sums(p);
    }
  }
};

/// Σ over all elements of the sum over ranks, squared.
double expected_norm(int ranks, int step) {
  double squares = 0;
  for (const auto& info : infos(Dtype::f32)) {
    Tensor sum = gradient(info, 0, step);
    for (int r = 1; r < ranks; ++r) {
      const Tensor more = gradient(info, r, step);
      for (std::int64_t i = 0; i < info.numel(); ++i) sum.f32()[i] += more.f32()[i];
    }
    for (std::int64_t i = 0; i < info.numel(); ++i) squares += double{sum.f32()[i]} * double{sum.f32()[i]};
  }
  return std::sqrt(squares);
}

void expect_equal(const device::Stream& stream, tensor::View a, tensor::View b) {
  const Tensor x = tensor::to_host(stream, a), y = tensor::to_host(stream, b);
  REQUIRE(x.bytes() == y.bytes());
  CHECK(std::memcmp(x.view().data, y.view().data, x.bytes()) == 0);
}

}  // namespace

TEST_CASE("sums and gathers beside the computation give the bits of those that wait") {
  std::string why;
  if (device::gpu_count(&why) == 0) return eddy_test::skip(why);
  comm::Session session;
  session.set_timeout(100);
  const auto choice = comm::choose_gpu(session);
  const device::Stream stream = device::open_gpu(choice.index, std::size_t{2} << 30);
  const int n = session.size();
  auto groups = parallel::make_groups(session.world(), {n, 1, 1, 1, 1});
  parallel::attach_transports(groups, comm::Backend::automatic, stream);
  const Tensor from = Tensor::zeros({1 << 24}, Dtype::f32, stream), to({1 << 24}, Dtype::f32, stream);
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    INFO(name_of(dtype) << " on " << n << " ranks");
    Model early(groups, dtype, stream), late(groups, dtype, stream);
    for (int step = 1; step <= 3; ++step) {
      for (Model* m : {&early, &late}) {
        m->backward(session.rank(), step, m == &early, from, to);
        const std::size_t before = stream.arena()->in_use();
        using Values = optim::ShardedAdamw::Values;
        const auto result = m->optimizer.step(0.01, true, m == &early ? Values::coming : Values::awaited);
        CHECK(stream.arena()->in_use() == before);
        CHECK(!result.skipped);
        CHECK(result.grad_norm == approx(expected_norm(n, step)).epsilon(1e-9));
      }
      // Read at once: what was gathered last must be there, or what was waited for.
      if (step == 2) early.optimizer.await_values();
      for (std::size_t i = early.store.all().size(); i-- > 0;) {
        const std::size_t j = step == 2 ? i : early.store.all().size() - 1 - i;
        early.optimizer.await_values(early.store.all()[j]);
        expect_equal(stream, early.store.all()[j].value, late.store.all()[j].value);
      }
    }
    const auto mine = early.optimizer.owned(), others = late.optimizer.owned();
    REQUIRE(mine.size() == others.size());
    for (std::size_t i = 0; i < mine.size(); ++i) expect_equal(stream, mine[i].view, others[i].view);
    // Every rank holds what the first one holds.
    for (const auto& p : early.store.all()) {
      const Tensor own = tensor::to_host(stream, p.value), of_first = tensor::to_host(stream, p.value);
      session.world().broadcast(of_first.view().data, static_cast<std::size_t>(own.view().numel()), dtype, 0);
      CHECK(std::memcmp(own.view().data, of_first.view().data, own.bytes()) == 0);
    }
  }
}
