// HDF5 handles in one process: what is written comes back, layouts can be mapped, errors name file and dataset.
#include "io/hdf5.h"

#include <cstring>

#include "base/error.h"
#include "catch.h"
#include "support.h"

using namespace eddy::io;
using eddy_test::TempDir;

namespace {
/// Message and status of the Error that `body` throws.
template <class F>
std::pair<std::string, int> error_of(F body) {
  try {
    body();
  } catch (const eddy::Error& e) {
    return {e.what(), static_cast<int>(e.status())};
  }
  return {"nothing thrown", 0};
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void write_sample(const std::filesystem::path& path) {
  H5File file = H5File::create(path);
  {
    H5Group root = file.root(), group = root.create_group("layer");
    H5Dataset d = group.create_dataset("w", H5Type::f32, {3, 4});
    std::vector<float> values(12);
    for (int i = 0; i < 12; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(i) / 4;
    d.write({{0, 0}, {3, 4}}, values.data(), H5Type::f32);
    const float patch[2] = {-1, -2};
    d.write({{1, 2}, {2, 1}}, patch, H5Type::f32);
    d.write_attribute("checksum", std::uint64_t{1} << 63);
    root.create_dataset("empty", H5Type::u64, {0});
    root.write_attribute("name", "ünïcode");
    root.write_attribute("nothing", "");
    root.write_attribute("ratio", 0.25);
    root.write_attribute("version", std::uint64_t{1});
    root.write_attribute("version", std::uint64_t{2});
  }
  file.close();
}
}  // namespace

TEST_CASE("what is written comes back") {
  TempDir dir;
  write_sample(dir / "a.h5");
  const H5File file = H5File::open(dir / "a.h5");
  const H5Group root = file.root();
  CHECK(root.children() == std::vector<std::string>{"empty", "layer"});
  CHECK(root.has("empty"));
  CHECK_FALSE(root.has("full"));
  CHECK(root.read_string("name") == "ünïcode");
  CHECK(root.read_string("nothing").empty());
  CHECK(root.read_f64("ratio") == 0.25);
  CHECK(root.read_u64("version") == 2);
  CHECK_FALSE(root.has_attribute("other"));
  const H5Dataset w = root.group("layer").dataset("w");
  CHECK(w.name() == "/layer/w");
  CHECK(w.shape() == std::vector<std::uint64_t>{3, 4});
  CHECK(w.type() == H5Type::f32);
  CHECK(w.read_u64("checksum") == std::uint64_t{1} << 63);
  const std::vector<float> expected{0, .25, .5, .75, 1, 1.25, -1, 1.75, 2, 2.25, -2, 2.75};
  CHECK(w.read_all<float>() == expected);
  float column[3];
  w.read({{0, 2}, {3, 1}}, column, H5Type::f32);
  CHECK(column[0] == 0.5f);
  CHECK(column[2] == -2.f);
  const H5Dataset empty = root.dataset("empty");
  CHECK(empty.count() == 0);
  CHECK(empty.read_all<std::uint64_t>().empty());
  CHECK_FALSE(empty.file_offset());
}

TEST_CASE("a dataset lies aligned and contiguous in its file") {
  TempDir dir;
  write_sample(dir / "a.h5");
  const H5File file = H5File::open(dir / "a.h5");
  const auto at = file.root().dataset("layer/w").file_offset();
  REQUIRE(at);
  CHECK(*at % 64 == 0);
  const std::string bytes = eddy_test::read_file(dir / "a.h5");
  float value;
  std::memcpy(&value, bytes.data() + *at + 11 * sizeof value, sizeof value);
  CHECK(value == 2.75f);
}

TEST_CASE("the same calls give the same bytes") {
  TempDir dir;
  write_sample(dir / "a.h5");
  write_sample(dir / "b.h5");
  CHECK(eddy_test::read_file(dir / "a.h5") == eddy_test::read_file(dir / "b.h5"));
}

TEST_CASE("errors name the file, the dataset and HDF5's reason") {
  TempDir dir;
  auto [missing, status] = error_of([&] { H5File::open(dir / "none.h5"); });
  CHECK(contains(missing, "none.h5"));
  CHECK(contains(missing, "No such file"));
  CHECK(status == 2);
  eddy_test::write_file(dir / "text.h5", "this is no HDF5 file at all, only a line of text");
  CHECK(contains(error_of([&] { H5File::open(dir / "text.h5"); }).first, "text.h5: cannot open it as HDF5"));
  CHECK(error_of([&] { H5File::create(dir / "no" / "folder.h5"); }).second == 1);

  write_sample(dir / "a.h5");
  const H5File file = H5File::open(dir / "a.h5");
  const H5Group root = file.root();
  CHECK(contains(error_of([&] { root.dataset("tokens"); }).first, "a.h5: '/tokens'"));
  CHECK(contains(error_of([&] { root.read_u64("absent"); }).first, "attribute absent"));
  CHECK(contains(error_of([&] { root.read_string("version"); }).first, "not a string"));
  const H5Dataset w = root.dataset("layer/w");
  CHECK(contains(error_of([&] { w.read_all<double>(); }).first, "element type"));
  float sink[12];
  CHECK(contains(error_of([&] { w.read({{0, 3}, {3, 2}}, sink, H5Type::f32); }).first, "outside of its 4 elements"));
}

TEST_CASE("a truncated file and a flipped byte in the metadata are found") {
  TempDir dir;
  write_sample(dir / "a.h5");
  const std::string whole = eddy_test::read_file(dir / "a.h5");
  eddy_test::write_file(dir / "cut.h5", whole.substr(0, whole.size() / 2));
  CHECK(error_of([&] { H5File::open(dir / "cut.h5"); }).second == 2);
  std::string flipped = whole;
  flipped[20] = static_cast<char>(flipped[20] ^ 1);  // within the superblock
  eddy_test::write_file(dir / "flip.h5", flipped);
  CHECK(error_of([&] { H5File::open(dir / "flip.h5"); }).second == 2);
}
