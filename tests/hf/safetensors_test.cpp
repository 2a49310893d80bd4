// safetensors files: what is written is read back; every kind of damage is refused by file and tensor.
#include "hf/safetensors.h"

#include <cstring>

#include "catch.h"
#include "hf/safetensors_writer.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy::hf;
using eddy_test::lacks;
using eddy_test::refusal;

namespace {

std::string with_header(const std::string& header, std::size_t data_bytes, std::uint64_t announced) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &announced, 8);
  return out + header + std::string(data_bytes, '\1');
}
std::string with_header(const std::string& header, std::size_t data_bytes) {
  return with_header(header, data_bytes, header.size());
}

/// What opening a file of these bytes is refused with.
std::string refused(const std::string& bytes) {
  eddy_test::TempDir dir;
  eddy_test::write_file(dir / "x.safetensors", bytes);
  const std::string message = refusal([&] { SafetensorsFile file(dir / "x.safetensors"); });
  CHECK(lacks(message, {"x.safetensors"}) == "");
  return message;
}
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("what the writer writes, the reader reads") {
  eddy_test::TempDir dir;
  const float f[3] = {1.5f, -2.0f, 3.25f};
  const std::uint16_t h[3] = {0x3fc0, 0xc000, 0x4050};  // the same in bfloat16
  const std::int64_t i[1] = {-7};
  SafetensorsWriter writer(
      dir / "m.safetensors",
      {{"h", Dtype::bf16, {3}}, {"f", Dtype::f32, {1, 3}}, {"i", Dtype::i64, {1}}, {"none", Dtype::f32, {0, 4}}});
  writer.write(h, sizeof h);
  writer.write(f, 4);
  writer.write(f + 1, 8);
  writer.write(i, sizeof i);
  writer.commit();
  const SafetensorsFile file(dir / "m.safetensors");
  CHECK(file.tensors().size() == 4);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.at("f").shape == std::vector<std::int64_t>{1, 3});
  CHECK(file.at("i").dtype == Dtype::i64);
  CHECK(std::memcmp(file.at("i").bytes.data(), i, 8) == 0);
  CHECK(file.at("none").bytes.empty());
  float out[2];
  copy_as_f32(file.at("f"), "f", 1, 2, out);
  CHECK((out[0] == -2.0f && out[1] == 3.25f));
  copy_as_f32(file.at("h"), "h", 1, 2, out);  // h lies at an even, f at an odd multiple of 2 bytes
  CHECK((out[0] == -2.0f && out[1] == 3.25f));
  CHECK(lacks(refusal([&] { copy_as_f32(file.at("i"), "i", 0, 1, out); }), {"m.safetensors", "'i'", "I64"}) == "");
  CHECK(lacks(refusal([&] { file.at("absent"); }), {"m.safetensors", "absent"}) == "");
}

TEST_CASE("a writer that got fewer bytes than declared leaves no file") {
  eddy_test::TempDir dir;
  {
    SafetensorsWriter writer(dir / "m.safetensors", {{"f", Dtype::f32, {3}}});
    writer.write("1234", 4);
    refusal([&] { writer.commit(); }, Exit::failed);
  }
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("shards are filled in order; a larger tensor stands alone") {
  const auto plan = plan_shards(
      {{"a", Dtype::f32, {10}}, {"b", Dtype::f32, {10}}, {"c", Dtype::f32, {100}}, {"d", Dtype::bf16, {1}}}, 80);
  REQUIRE(plan.shards.size() == 3);
  CHECK(plan.shards[0].size() == 2);
  CHECK(plan.shards[1].size() == 1);
  CHECK(plan.total_bytes == 482);
  CHECK(plan.file_name(2) == "model-00003-of-00003.safetensors");
  CHECK(lacks(plan.index(), {R"("total_size": 482)", R"("d": "model-00003-of-00003.safetensors")"}) == "");
  CHECK(plan_shards({{"a", Dtype::f32, {10}}}, 80).file_name(0) == "model.safetensors");
}

TEST_CASE("files that are cut off or no safetensors are named") {
  CHECK(lacks(refused(""), {"0 bytes"}) == "");
  CHECK(lacks(refused("1234567"), {"7 bytes"}) == "");
  const std::string good = with_header(R"({"a":)" + entry("F32", "[2]", "[0,8]") + "}", 8);
  for (const std::size_t keep : {std::size_t{9}, good.size() / 2, good.size() - 8, good.size() - 1})
    refused(good.substr(0, keep));
  CHECK(lacks(refused(good.substr(0, good.size() - 1)), {"'a'", "cut off"}) == "");
  CHECK(lacks(refused(with_header("{}", 0, std::uint64_t{1} << 60)), {"1152921504606846976"}) == "");
  CHECK(lacks(refused(with_header("{}", 0, ~std::uint64_t{0})), {"header"}) == "");
  CHECK(lacks(refused(with_header("[]", 0)), {"JSON object"}) == "");
  CHECK(lacks(refused(with_header("{]", 0)), {"not valid JSON"}) == "");
  CHECK(lacks(refused(with_header("{\"a\": 1", 0)), {"not valid JSON"}) == "");
  CHECK(lacks(refused(with_header("{\"\xff\": 1}", 0)), {"not valid JSON"}) == "");
  CHECK(lacks(refusal([] { SafetensorsFile file("/nonexistent/x.safetensors"); }), {"/nonexistent/x.safetensors"}) ==
        "");
}

TEST_CASE("headers that lie are refused, the tensor named") {
  const auto one = [](const std::string& e, std::size_t data) {
    return refused(with_header("{\"a\":" + e + "}", data));
  };
  CHECK(lacks(one(entry("F16", "[2]", "[0,4]"), 4), {"'a'", "F16"}) == "");
  CHECK(lacks(one(entry("F32", "[2]", "[0,4]"), 4), {"'a'", "[2]"}) == "");
  CHECK(lacks(one(entry("F32", "[-2]", "[0,8]"), 8), {"'a'", "shape"}) == "");
  CHECK(lacks(one(entry("F32", "[1.5]", "[0,6]"), 6), {"'a'", "shape"}) == "");
  CHECK(lacks(one(entry("F32", "\"2\"", "[0,8]"), 8), {"'a'", "shape"}) == "");
  CHECK(lacks(one(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0), {"'a'"}) ==
        "");  // the product is 2^64, which wraps to 0
  CHECK(lacks(one(entry("F32", "[2]", "[8,0]"), 8), {"'a'"}) == "");
  CHECK(lacks(one(entry("F32", "[2]", "[0,800]"), 8), {"'a'", "cut off"}) == "");
  CHECK(lacks(one(entry("F32", "[2]", "[0]"), 8), {"'a'", "data_offsets"}) == "");
  CHECK(lacks(one(entry("F32", "[2]", "[0,8]"), 9), {"1 bytes after"}) == "");
  CHECK(lacks(one(entry("F32", "[1]", "[4,8]"), 8), {"'a'", "gap"}) == "");
  CHECK(lacks(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})", 8), {"'a'", "'x'"}) == "");
  CHECK(lacks(one("3", 0), {"'a'"}) == "");
  const std::string a = "{\"a\":" + entry("F32", "[2]", "[0,8]");
  CHECK(lacks(refused(with_header(a + ",\"b\":" + entry("F32", "[2]", "[4,12]") + "}", 12)), {"'b'", "overlap"}) == "");
  CHECK(lacks(refused(with_header(a + ",\"a\":" + entry("F32", "[2]", "[8,16]") + "}", 16)), {"'a' stands twice"}) ==
        "");
  CHECK(lacks(refused(with_header(R"({"__metadata__":{"a":1}})", 0)), {"__metadata__"}) == "");
  CHECK(lacks(refused(with_header(R"({"__metadata__":"a"})", 0)), {"__metadata__"}) == "");
}

TEST_CASE("any altered byte of a header: the file opens or is refused as input, nothing else") {
  eddy_test::TempDir dir;
  const std::string good = with_header(R"({"__metadata__":{"format":"pt"},"a":)" + entry("F32", "[2,1]", "[0,8]") +
                                           ",\"b\":" + entry("BF16", "[3]", "[8,14]") + "}",
                                       14);
  int refused = 0, opened = 0;
  for (std::size_t i = 0; i + 14 < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      eddy_test::write_file(dir / "x.safetensors", bad);
      try {
        const SafetensorsFile file(dir / "x.safetensors");
        ++opened;  // a letter of a name, say
      } catch (const Error& e) {
        refused += e.status() == Exit::unusable;
      }
    }
  CHECK(refused + opened == static_cast<int>(good.size() - 14) * 8);
  CHECK(refused > 6 * opened);
}
