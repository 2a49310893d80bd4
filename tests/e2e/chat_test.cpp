// eddy-chat and eddy-verify from outside: golden generation, layouts, a dialogue, wrong input.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "hf/safetensors.h"
#include "support.h"

using eddy_test::run;
using nlohmann::json;

namespace {
std::string golden(const std::string& name) {
  return (eddy_test::source_dir() / "tests/fixtures" / name).string();
}

/// The golden file's 8 prompt ids and the ids that follow.
struct Greedy {
  std::string prompt;
  std::vector<std::int64_t> answer;
  explicit Greedy(const std::string& name) {
    const eddy::hf::SafetensorsFile file(golden(name) + "/golden.safetensors");
    const auto& t = file.at("greedy");
    const auto* ids = reinterpret_cast<const std::int64_t*>(t.bytes.data());
    for (int i = 0; i < 8; ++i) prompt += (i ? "," : "") + std::to_string(ids[i]);
    answer.assign(ids + 8, ids + t.shape.at(1));
  }
};
}  // namespace

TEST_CASE("greedy generation gives the golden ids on one and several ranks") {
  for (const std::string name : {"tiny", "tiny-yarn"}) {
    const Greedy g(name);
    using Layout = std::pair<int, std::vector<std::string>>;
    for (const auto& [ranks, layout] : {Layout{0, {}}, Layout{2, {"--parallel.tp=2", "--parallel.ep=2"}},
                                        Layout{4, {"--parallel.pp=2", "--parallel.ep=2"}}}) {
      std::vector<std::string> argv{"eddy-chat", "--model",      golden(name), "--prompt-ids", g.prompt,
                                    "--greedy",  "--max-tokens", "24",         "--json"};
      argv.insert(argv.end(), layout.begin(), layout.end());
      const auto r = run(argv, ranks);
      INFO(name << " on " << ranks << " ranks: " << r.err);
      REQUIRE(r.status == 0);
      CHECK(json::parse(r.out)["ids"].get<std::vector<std::int64_t>>() == g.answer);
    }
  }
}

TEST_CASE("sampling repeats with its seed, on any layout") {
  const Greedy g("tiny");
  const auto sample = [&](const std::string& seed, int ranks, const std::string& layout) {
    const auto r = run({"eddy-chat", "--model", golden("tiny"), "--prompt-ids", g.prompt, "--temperature", "5",
                        "--top-p", "1", "--seed", seed, "--max-tokens", "12", "--json", layout},
                       ranks);
    REQUIRE(r.status == 0);
    return json::parse(r.out)["ids"];
  };
  const auto first = sample("1", 0, "--parallel.tp=1");
  CHECK(sample("1", 0, "--parallel.tp=1") == first);
  CHECK(sample("1", 2, "--parallel.tp=2") == first);
  CHECK(sample("2", 0, "--parallel.tp=1") != first);
}

TEST_CASE("eddy-chat says what is wrong") {
  const auto refused = [](std::vector<std::string> argv, const std::string& text, int ranks = 0) {
    const auto r = run(std::move(argv), ranks);
    CHECK(r.status == 2);
    CHECK_THAT(r.err, contains_text(text));
  };
  const std::string model = golden("tiny");
  refused({"eddy-chat", "--model", "nowhere", "--prompt-ids", "1"}, "nowhere");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1,x"}, "'x'");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1,512", "--max-tokens", "4"}, "id 512");
  refused({"eddy-chat", "--model", model, "--prompt", "hello"}, "tokenizer");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1", "--max-tokens", "1000"}, "256 positions");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1", "--max-tokens", "1000000000"}, "256 positions");
  refused({"eddy-chat", "--model", model, "--input", model}, "it is a folder");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1", "--prompt", "a"}, "one of");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1", "--temperature", "0"}, "temperature");
  refused({"eddy-chat", "--model", model, "--prompt-ids", "1", "--max-tokens", "4", "--parallel.tp=3"}, "parallel.tp",
          3);
}

TEST_CASE("eddy-verify finds a gradient that was changed, and refuses what does not fit") {
  const std::string model = golden("tiny");
  CHECK(run({"eddy-verify", "--model", model, "--golden", model + "/golden.safetensors"}).status == 0);
  auto r = run({"eddy-verify", "--model", golden("tiny-yarn"), "--golden", model + "/golden.safetensors"});
  CHECK(r.status == 1);  // other weights: nothing agrees
  CHECK_THAT(r.out, contains_text("OVER TOLERANCE"));
  r = run({"eddy-verify", "--model", model, "--golden", golden("tiny-mtp") + "/golden.safetensors"});
  CHECK(r.status == 2);
  CHECK_THAT(r.err, contains_text("MTP"));

  const eddy_test::TempDir dir;
  std::string bytes = eddy_test::read_file(model + "/golden.safetensors");
  std::uint64_t header = 0;
  std::copy_n(bytes.data(), 8, reinterpret_cast<char*>(&header));
  const auto offsets =
      json::parse(bytes.substr(8, header))["grad.model.layers.2.self_attn.o_proj.weight"]["data_offsets"];
  bytes[8 + header + offsets[0].get<std::size_t>() + 3] ^= 0x40;  // one exponent bit of one element
  eddy_test::write_file(dir / "lie.safetensors", bytes);
  r = run({"eddy-verify", "--model", model, "--golden", (dir / "lie.safetensors").string()});
  CHECK(r.status == 1);
  CHECK_THAT(r.out, contains_text("grad.model.layers.2.self_attn.o_proj.weight   OVER TOLERANCE"));
  eddy_test::write_file(dir / "short.safetensors", bytes.substr(0, bytes.size() / 2));
  r = run({"eddy-verify", "--model", model, "--golden", (dir / "short.safetensors").string()});
  CHECK(r.status == 2);
  CHECK_THAT(r.err, contains_text("short.safetensors"));
}
