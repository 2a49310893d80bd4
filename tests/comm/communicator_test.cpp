// Every collective against what it must give, on any number of ranks; each also in pieces of five elements, the way
// that counts beyond an int take.
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"
#include "catch.h"
#include "comm/mpi_communicator.h"
#include "comm/session.h"

using namespace eddy::comm;
using eddy::Dtype;
using Counts = std::vector<std::size_t>;

namespace {

std::unique_ptr<Communicator> world(std::size_t largest_count) {
  MPI_Comm copy = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  return std::make_unique<MpiCommunicator>(MpiHandle(copy), "world", nullptr, largest_count);
}
const std::size_t kLargest[] = {MpiCommunicator::kLargestCount, 5};

/// Some counts for the ranks: unequal, with zeros, longer than five.
Counts some_counts(int size) {
  Counts c;
  for (int r = 0; r < size; ++r) c.push_back(static_cast<std::size_t>(r % 3 == 1 ? 0 : 3 * r + 2));
  return c;
}
std::size_t sum(const Counts& c) {
  return std::accumulate(c.begin(), c.end(), std::size_t{0});
}
std::size_t before(const Counts& c, int rank) {
  return std::accumulate(c.begin(), c.begin() + rank, std::size_t{0});
}
float value(int rank, std::size_t i) {
  return static_cast<float>(100 * rank) + static_cast<float>(i);
}

}  // namespace

TEST_CASE("all_gather and all_gather_v") {
  const bool v = GENERATE(true, false);
  const bool in_place = GENERATE(true, false);
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const auto n = static_cast<std::size_t>(c->size());
    Counts counts = some_counts(c->size());
    if (!v) counts.assign(n, 7);
    const std::size_t own = counts[static_cast<std::size_t>(c->rank())];
    std::vector<float> in(own), out(sum(counts), -1), right;
    for (std::size_t i = 0; i < own; ++i) in[i] = value(c->rank(), i);
    for (int r = 0; r < c->size(); ++r)
      for (std::size_t i = 0; i < counts[static_cast<std::size_t>(r)]; ++i) right.push_back(value(r, i));
    float* from = in.data();
    if (in_place) {
      from = out.data() + before(counts, c->rank());
      std::copy(in.begin(), in.end(), from);
    }
    if (v)
      c->all_gather_v(from, out.data(), counts, Dtype::f32);
    else
      c->all_gather(from, out.data(), own, Dtype::f32);
    CHECK(out == right);
    CHECK(c->bytes_sent() == (n - 1) * own * 4);
  }
}

TEST_CASE("reduce_scatter and reduce_scatter_v") {
  const bool v = GENERATE(true, false);
  const bool in_place = GENERATE(true, false);
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const auto n = static_cast<std::size_t>(c->size());
    Counts counts = some_counts(c->size());
    if (!v) counts.assign(n, 7);
    const std::size_t own = counts[static_cast<std::size_t>(c->rank())], begin = before(counts, c->rank());
    std::vector<float> in(sum(counts)), room(own), right(own, 0);
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = value(c->rank(), i);
    for (std::size_t i = 0; i < own; ++i)
      for (int r = 0; r < c->size(); ++r) right[i] += value(r, begin + i);
    float* out = in_place ? in.data() + begin : room.data();
    if (v)
      c->reduce_scatter_v(in.data(), out, counts, Dtype::f32);
    else
      c->reduce_scatter(in.data(), out, own, Dtype::f32);
    CHECK(std::vector<float>(out, out + own) == right);
    CHECK(c->bytes_sent() == (sum(counts) - own) * 4);
  }
}

TEST_CASE("blocks longer than the scratch space are summed piece by piece") {
  const auto c = world(MpiCommunicator::kLargestCount);
  const auto n = static_cast<std::size_t>(c->size());
  const std::size_t count = (std::size_t{5} << 20) / n + 3;  // 20 MiB of float32 in all
  std::vector<float> in(n * count), out(count);
  for (std::size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>((i + static_cast<std::size_t>(c->rank())) % 1001);
  c->reduce_scatter(in.data(), out.data(), count, Dtype::f32);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    float right = 0;
    for (std::size_t r = 0; r < n; ++r)
      right += static_cast<float>((static_cast<std::size_t>(c->rank()) * count + i + r) % 1001);
    wrong += out[i] != right;
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("all_reduce of numbers", "", float, double, std::int32_t, std::int64_t, std::uint8_t) {
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const int n = c->size();
    const Dtype dtype = eddy::dtype_of<TestType>;
    for (const Reduce op : {Reduce::sum, Reduce::max, Reduce::min}) {
      std::vector<TestType> data(13);
      for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<TestType>(i + static_cast<std::size_t>(c->rank()));
      c->all_reduce(data.data(), data.size(), dtype, op);
      bool right = true;
      for (std::size_t i = 0; i < data.size(); ++i) {
        const int first = static_cast<int>(i);
        const int expected = op == Reduce::sum   ? n * first + n * (n - 1) / 2
                             : op == Reduce::max ? first + n - 1
                                                 : first;
        right = right && data[i] == static_cast<TestType>(expected);
      }
      CHECK(right);
    }
    const auto bytes = 13 * sizeof(TestType), u = static_cast<std::size_t>(n);
    CHECK(c->bytes_sent() == 3 * (2 * (u - 1) * bytes / u));
  }
}

TEST_CASE("all_reduce of bf16 rounds once") {
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    std::vector<std::uint16_t> data(13);  // rank 0: 256, the others 1: a sum rounded at each step would stay 256
    for (auto& x : data) x = eddy::float_to_bf16(c->rank() == 0 ? 256.f : 1.f);
    c->all_reduce(data.data(), data.size(), Dtype::bf16, Reduce::sum);
    const auto right = eddy::float_to_bf16(256.f + static_cast<float>(c->size() - 1));
    CHECK(data == std::vector<std::uint16_t>(13, right));
    std::uint16_t most = eddy::float_to_bf16(static_cast<float>(c->rank()));
    c->all_reduce(&most, 1, Dtype::bf16, Reduce::max);
    CHECK(most == eddy::float_to_bf16(static_cast<float>(c->size() - 1)));
  }
}

TEST_CASE("the same sum gives the same bits each time, on every rank") {
  const auto c = world(MpiCommunicator::kLargestCount);
  for (const std::size_t count : {std::size_t{3}, std::size_t{1000}, std::size_t{200'000}}) {
    std::mt19937 random(static_cast<unsigned>(c->rank()) + 1);
    std::vector<float> data(count);
    for (auto& x : data)
      x = std::ldexp(static_cast<float>(random() % 2000) - 1000, static_cast<int>(random() % 40) - 20);
    std::vector<float> first = data, again = data;
    c->all_reduce(first.data(), count, Dtype::f32, Reduce::sum);
    c->all_reduce(again.data(), count, Dtype::f32, Reduce::sum);
    CHECK(std::memcmp(first.data(), again.data(), count * 4) == 0);
    std::vector<float> of_root = first;
    c->broadcast(of_root.data(), count, Dtype::f32, 0);
    CHECK(std::memcmp(first.data(), of_root.data(), count * 4) == 0);
  }
}

TEST_CASE("all_to_all and all_to_all_v, with empty blocks") {
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const int n = c->size(), me = c->rank();
    const auto between = [](int from, int to) {
      return static_cast<std::size_t>((from * 5 + to * 3) % 4 == 1 ? 0 : from + 2 * to);
    };
    Counts to, from;
    std::vector<std::int64_t> in, right;
    std::uint64_t bytes = 0;
    for (int r = 0; r < n; ++r) {
      to.push_back(between(me, r));
      from.push_back(between(r, me));
      for (std::size_t i = 0; i < to.back(); ++i) in.push_back(10000 * me + 100 * r + static_cast<std::int64_t>(i));
      for (std::size_t i = 0; i < from.back(); ++i)
        right.push_back(10000 * r + 100 * me + static_cast<std::int64_t>(i));
      if (r != me) bytes += to.back() * 8;
    }
    std::vector<std::int64_t> out(right.size(), -1);
    c->all_to_all_v(in.data(), to, out.data(), from, Dtype::i64);
    CHECK(out == right);
    CHECK(c->bytes_sent() == bytes);

    std::vector<std::int32_t> one(static_cast<std::size_t>(2 * n)), got(one.size(), -1), expected;
    for (int r = 0; r < 2 * n; ++r) one[static_cast<std::size_t>(r)] = 1000 * me + r;
    for (int r = 0; r < n; ++r) expected.insert(expected.end(), {1000 * r + 2 * me, 1000 * r + 2 * me + 1});
    c->all_to_all(one.data(), got.data(), 2, Dtype::i32);
    CHECK(got == expected);
    CHECK(c->bytes_sent() == bytes + static_cast<std::uint64_t>(n - 1) * 8);
  }
}

TEST_CASE("broadcast from any root") {
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const int root = c->size() - 1;
    std::vector<double> data(23, c->rank() == root ? 4.25 : 0);
    c->broadcast(data.data(), data.size(), Dtype::f64, root);
    CHECK(data == std::vector<double>(23, 4.25));
    CHECK(c->bytes_sent() == (c->rank() == root ? static_cast<std::uint64_t>(root) * 23 * 8 : 0u));
  }
}

TEST_CASE("messages around a ring, in order, by tag, empty ones too") {
  for (const std::size_t largest : kLargest) {
    const auto c = world(largest);
    const int n = c->size();
    if (n == 1) continue;
    const int next = (c->rank() + 1) % n, previous = (c->rank() + n - 1) % n;
    std::vector<float> first(17, value(c->rank(), 1)), second(17, value(c->rank(), 2)), other(3, value(c->rank(), 3)),
        in(17);
    std::vector<std::unique_ptr<Request>> sent;
    sent.push_back(c->isend(first.data(), first.size(), Dtype::f32, next, 0));
    sent.push_back(c->isend(second.data(), second.size(), Dtype::f32, next, 0));
    sent.push_back(c->isend(other.data(), other.size(), Dtype::f32, next, 1'000'000));
    sent.push_back(c->isend(nullptr, 0, Dtype::f32, next, 3));
    CHECK(c->bytes_sent() == 37 * 4);
    c->recv(in.data(), 3, Dtype::f32, previous, 1'000'000);
    CHECK(in[2] == value(previous, 3));
    c->recv(nullptr, 0, Dtype::f32, previous, 3);
    c->recv(in.data(), 17, Dtype::f32, previous, 0);
    CHECK(in == std::vector<float>(17, value(previous, 1)));
    c->recv(in.data(), 17, Dtype::f32, previous, 0);
    CHECK(in == std::vector<float>(17, value(previous, 2)));
    for (auto& s : sent) s->wait();
  }
}

TEST_CASE("a message of another length than expected is an error that says so") {
  const auto c = world(MpiCommunicator::kLargestCount);
  if (c->size() == 1) {
    CHECK_THROWS_AS(c->recv(nullptr, 0, Dtype::f32, 0, 0), eddy::Error);
    return;
  }
  float x[4] = {};
  if (c->rank() == 0) {
    c->isend(x, 2, Dtype::f32, 1, 0)->wait();
    c->isend(x, 4, Dtype::f32, 1, 0)->wait();
  } else if (c->rank() == 1) {
    CHECK_THROWS_WITH(c->recv(x, 3, Dtype::f32, 0, 0), contains_text("rank 0 sent 2 elements of f32 where 3"));
    CHECK_THROWS_WITH(c->recv(x, 3, Dtype::f32, 0, 0), contains_text("recv on world (rank 1 of "));
  }
  c->barrier();
}

TEST_CASE("zero elements are nothing to do") {
  const auto c = world(MpiCommunicator::kLargestCount);
  const Counts none(static_cast<std::size_t>(c->size()), 0);
  c->all_reduce(nullptr, 0, Dtype::f32, Reduce::sum);
  c->all_gather(nullptr, nullptr, 0, Dtype::f32);
  c->all_gather_v(nullptr, nullptr, none, Dtype::f32);
  c->reduce_scatter(nullptr, nullptr, 0, Dtype::f32);
  c->reduce_scatter_v(nullptr, nullptr, none, Dtype::bf16);
  c->all_to_all_v(nullptr, none, nullptr, none, Dtype::f32);
  c->broadcast(nullptr, 0, Dtype::f32, 0);
  CHECK(c->bytes_sent() == 0);
}

TEST_CASE("split: groups of their own, a group of one without MPI") {
  const auto c = world(MpiCommunicator::kLargestCount);
  const int n = c->size(), me = c->rank();
  std::vector<int> same;
  for (int r = me % 2; r < n; r += 2) same.push_back(r);
  const auto group = c->split(same, "parity");
  CHECK(group->name() == "parity");
  CHECK(group->size() == static_cast<int>(same.size()));
  CHECK(group->rank() == me / 2);
  std::int64_t total = me;
  group->all_reduce(&total, 1, Dtype::i64, Reduce::sum);
  CHECK(total == std::accumulate(same.begin(), same.end(), 0));

  const auto alone = c->split({me}, "alone");
  CHECK(alone->size() == 1);
  float in[2] = {1, 2}, out[2] = {};
  alone->all_gather(in, out, 2, Dtype::f32);
  alone->all_reduce(out, 2, Dtype::f32, Reduce::sum);
  alone->all_to_all_v(out, Counts{2}, in, Counts{2}, Dtype::f32);
  CHECK(out[1] == 2);
  CHECK(alone->bytes_sent() == 0);
  CHECK(mpi_comm(*alone) == MPI_COMM_SELF);
  CHECK(alone->split({0}, "again")->name() == "again");
  CHECK_THROWS_AS(alone->isend(in, 1, Dtype::f32, 0, 0), eddy::Error);
}

TEST_CASE("arguments that cannot be right are refused") {
  const auto c = world(MpiCommunicator::kLargestCount);
  const Counts short_counts(static_cast<std::size_t>(c->size() - 1), 1), counts(static_cast<std::size_t>(c->size()), 1);
  float x = 0;
  CHECK_THROWS_AS(c->all_gather_v(&x, &x, short_counts, Dtype::f32), eddy::Error);
  CHECK_THROWS_AS(c->all_to_all_v(&x, counts, &x, short_counts, Dtype::f32), eddy::Error);
  CHECK_THROWS_AS(c->isend(&x, 1, Dtype::f32, c->size(), 0), eddy::Error);
  CHECK_THROWS_AS(c->isend(&x, 1, Dtype::f32, c->rank(), 0), eddy::Error);
  CHECK_THROWS_AS(c->recv(&x, 1, Dtype::f32, (c->rank() + 1) % c->size(), -1), eddy::Error);
  CHECK_THROWS_AS(c->split({c->size() + c->rank()}, "none"), eddy::Error);
  CHECK_THROWS_AS(c->all_reduce(&x, 1, Dtype::f8e4m3, Reduce::sum), eddy::Error);
}
