#include "crawl/ask.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "crawl/paper.h"

namespace eddy::crawl {

std::string Ask::key() const {
  std::string k = channel + " " + method + " " + path;
  if (!body.empty()) k += " " + hex64(xxh3(body));
  return k;
}

std::string Record::line() const {
  nlohmann::ordered_json j{{"key", key}, {"channel", channel}, {"url", url},          {"time", time},
                           {"ok", ok},   {"status", status},   {"attempts", attempts}};
  if (!ok) j["reason"] = reason;
  if (!json.is_null()) j["json"] = json;
  if (!text.empty()) j["text"] = text;
  if (!payload.is_null()) j["payload"] = payload;
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Record Record::parse(std::string_view line, const std::string& where) {
  nlohmann::json j = nlohmann::json::parse(line, nullptr, false);
  Record r;
  try {
    r.key = j.at("key");
    r.channel = j.at("channel");
    r.url = j.value("url", "");
    r.ok = j.at("ok");
    r.reason = j.value("reason", "");
    r.text = j.value("text", "");
    r.status = j.value("status", 0);
    r.attempts = j.value("attempts", 0);
    r.time = j.value("time", 0.0);
    if (const auto at = j.find("json"); at != j.end()) r.json = std::move(*at);
    if (const auto at = j.find("payload"); at != j.end()) r.payload = std::move(*at);
    if (!r.payload.is_null()) payload_of(r.payload);  // that it is one
  } catch (const nlohmann::json::exception&) {
    fail_input("{}: no record of a crawl; restore the file, or crawl into another folder", where);
  }
  return r;
}

}  // namespace eddy::crawl
