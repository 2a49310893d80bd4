// Saved in one layout, loaded in another: parameters and moments are those of before, bit for bit. Twenty pairs of
// tensor, expert, pipeline and data parallelism on 1 to 8 ranks, with 1 to 8 ranks a file.
#include <cstring>

#include "../model/tiny_model.h"
#include "base/hash.h"
#include "base/rng.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "support.h"
#include "train/engine.h"
#include "train/memory.h"

using namespace eddy;
using eddy_test::session;
using parallel::Layout;
using train::Engine;

namespace {

/// What element `index` of a tensor is in this test: any bits of a float in [1, 2).
float element(std::uint64_t name, std::int64_t index) {
  const auto bits = 0x3f800000u | static_cast<std::uint32_t>(mix(name, static_cast<std::uint64_t>(index)) >> 41);
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/// Calls visit(value, what it is to be) for the elements of a block.
template <class Visit>
void for_each_element(const tensor::Slice& s, Visit&& visit) {
  const std::uint64_t name = xxh3(s.name);
  const auto extent = s.view.shape.vector();
  float* at = static_cast<float*>(s.view.data);
  for (std::int64_t i = 0; i < s.view.numel(); ++i) {
    std::int64_t rest = i, global = 0, stride = 1;
    for (std::size_t d = extent.size(); d-- > 0;) {
      global += (s.begin[d] + rest % extent[d]) * stride;
      rest /= extent[d];
      stride *= s.global_shape[d];
    }
    visit(at[i], element(name, global));
  }
}

tensor::Slice model_slice(const parallel::Parameter& p) {
  tensor::Slice s = p.slice();
  s.name = "model/" + s.name;
  return s;
}

std::unique_ptr<Engine> make_engine(comm::Communicator& world, const Layout& layout) {
  train::EngineOptions o;
  o.stage.mtp = true;
  o.seq_len = 32;
  return std::make_unique<Engine>(world, eddy_test::tiny_config(), layout, o);
}

void fill(Engine& engine) {
  const auto set = [](float& value, float wanted) { value = wanted; };
  engine.fill([&](const parallel::Parameter& p) { for_each_element(model_slice(p), set); });
  for (const auto& s : engine.optimizer().owned())
    if (s.name.starts_with("optim.")) for_each_element(s, set);
}

/// Elements that differ, and how many there are of each kind, over all ranks of the engine.
struct Found {
  std::int64_t wrong = 0, saved = 0, moments = 0;
};
Found compare(Engine& engine) {
  Found f;
  const auto look = [&](float value, float wanted) { f.wrong += std::memcmp(&value, &wanted, 4) != 0; };
  for (const auto& p : engine.store().all()) for_each_element(model_slice(p), look);
  for (const auto& s : engine.optimizer().owned()) {
    (s.name.starts_with("optim.") ? f.moments : f.saved) += s.view.numel();
    for_each_element(s, look);
  }
  std::int64_t sums[3] = {f.wrong, f.saved, f.moments};
  engine.groups().world->all_reduce(sums, 3, Dtype::i64, comm::Reduce::sum);
  return {sums[0], sums[1], sums[2]};
}

/// The communicator of the first `ranks` ranks; the others get one of their own and stand aside.
std::unique_ptr<comm::Communicator> first_ranks(int ranks) {
  std::vector<int> members;
  for (int r = 0; r < ranks; ++r) members.push_back(r);
  if (session().rank() >= ranks) members = {session().rank()};
  return session().world().split(members, "some");
}

const Layout kOne{1, 1, 1, 1, 1}, kTp2{2, 2, 1, 1, 1}, kEp2{2, 1, 2, 1, 1}, kPp2{2, 1, 1, 2, 1}, kDp2{2, 1, 1, 1, 1},
    kTp4{4, 4, 1, 1, 1}, kPp4{4, 1, 1, 4, 1}, kDp4{4, 1, 1, 1, 1}, kTp2Ep4{4, 2, 4, 1, 1}, kTp2Pp2{4, 2, 1, 2, 1},
    kEp2Pp2{4, 1, 2, 2, 1}, kEp8{8, 1, 8, 1, 1}, kTp2Ep2{8, 2, 2, 1, 1}, kTp2Ep4Pp2{8, 2, 4, 2, 1},
    kTp2Pp4{8, 2, 2, 4, 1}, kDp8{8, 1, 1, 1, 1};

const std::vector<std::pair<Layout, Layout>> kPairs = {
    {kOne, kTp2},    {kOne, kEp8},       {kOne, kTp2Ep4Pp2}, {kTp2, kOne},       {kTp2, kPp2},
    {kEp2, kDp2},    {kPp2, kEp2},       {kDp2, kTp4},       {kTp4, kDp4},       {kTp4, kPp4},
    {kPp4, kTp2Ep4}, {kDp4, kOne},       {kTp2Ep4, kTp2Pp2}, {kTp2Pp2, kEp2Pp2}, {kEp2Pp2, kEp8},
    {kEp8, kTp2Ep2}, {kTp2Ep2, kTp2Pp4}, {kTp2Ep4Pp2, kOne}, {kTp2Pp4, kDp8},    {kDp8, kTp2Ep4Pp2},
};

}  // namespace

TEST_CASE("twenty pairs of layouts") {
  REQUIRE(session().size() == 8);
  REQUIRE(kPairs.size() == 20);
  const eddy_test::TempDir own;  // rank 0's is used
  std::string folder = own.path().string();
  folder.resize(200, ' ');
  session().world().broadcast(folder.data(), folder.size(), Dtype::u8, 0);
  folder.erase(folder.find(' '));
  Found whole;
  for (std::size_t i = 0; i < kPairs.size(); ++i) {
    const auto& [writer, reader] = kPairs[i];
    CAPTURE(writer.text(), reader.text());
    const auto path = std::filesystem::path(folder) / "step-00000001";
    const auto writers = first_ranks(writer.world), readers = first_ranks(reader.world);
    if (session().rank() < writer.world) {
      const auto engine = make_engine(*writers, writer);
      fill(*engine);
      checkpoint::SaveOptions options;
      options.ranks_per_file = std::vector<int>{1, 2, 3, 8}[i % 4];
      checkpoint::save(*writers, path, {}, engine->optimizer().owned(), options);
      // the memory plan counts the copy that an asynchronous save would make
      std::size_t bytes = 0;
      for (const auto& s : engine->optimizer().owned()) bytes += s.view.bytes();
      train::EngineOptions o;
      o.stage.mtp = true;
      o.seq_len = 32;
      const auto model = eddy_test::tiny_config();
      CHECK(train::MemoryPlan(model, writer, o, 1, writer.pp).of(writers->rank()).checkpoint == bytes);
    }
    session().world().barrier();
    if (session().rank() < reader.world) {
      const auto engine = make_engine(*readers, reader);
      const checkpoint::Checkpoint saved(path);
      engine->optimizer().load([&](const tensor::Slice& slice) { saved.read(slice); });
      const Found found = compare(*engine);
      CHECK(found.wrong == 0);
      if (whole.saved == 0) whole = found;
      CHECK(found.saved == whole.saved);
      CHECK(found.moments == whole.moments);
      CHECK(found.moments > 2 * 30000);
    }
    session().world().barrier();
  }
}
