#include "shard/unit_result.h"

#include <cstring>

#include "base/error.h"

namespace eddy::shard {
using nlohmann::json;
namespace {

template <class T>
json binary(const std::vector<T>& values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
  return json::binary({bytes, bytes + values.size() * sizeof(T)});
}
template <class T>
void unpack(const json& j, std::vector<T>& values) {
  const auto& bytes = j.get_binary();
  values.resize(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
}

}  // namespace

std::string UnitResult::encode() const {
  const json j = {{"unit", unit},           {"records", binary(records)}, {"key_counts", binary(key_counts)},
                  {"keys", binary(keys)},   {"papers", papers},           {"rejections", rejections},
                  {"questions", questions}, {"tally", tally.to_json()}};
  const auto bytes = json::to_msgpack(j);
  return {bytes.begin(), bytes.end()};
}

UnitResult UnitResult::decode(std::string_view bytes) {
  const json j = json::from_msgpack(bytes);
  UnitResult r;
  r.unit = j.at("unit");
  unpack(j.at("records"), r.records);
  unpack(j.at("key_counts"), r.key_counts);
  unpack(j.at("keys"), r.keys);
  r.papers = j.at("papers").get<std::vector<json>>();
  r.rejections = j.at("rejections").get<std::vector<json>>();
  r.questions = j.at("questions").get<std::vector<json>>();
  r.tally = Tally::from_json(j.at("tally"));
  return r;
}

}  // namespace eddy::shard
