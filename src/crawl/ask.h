#pragma once
// A question to a service, as the clients form it (s2.h, arxiv.h, crossref.h, openalex.h, unpaywall.h), and the record
// of its answer.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace eddy::crawl {

enum class Form { json, xml, payload };  ///< what a good answer's body is

/// `channel` names the service: "s2", "arxiv", "crossref", "openalex", "unpaywall", or "host:example.org" for a copy
/// of a paper on any other host.
struct Ask {
  std::string channel;
  std::string method = "GET";
  std::string path;  ///< below the service's base URL; for "host:…" the whole URL
  std::string body;  ///< JSON, for POST
  Form form = Form::json;
  /// Names the question in the records, whatever base URL or key it is sent with: "s2 GET /paper/…".
  std::string key() const;
};

/// A line of records/*.jsonl.
struct Record {
  std::string key, channel, url;
  bool ok = false;
  std::string reason;      ///< where not ok
  nlohmann::json json;     ///< the answer, where it is JSON
  std::string text;        ///< the answer, where it is XML
  nlohmann::json payload;  ///< where its bytes lie (paper.h: Payload), null for other answers
  int status = 0, attempts = 0;
  double time = 0;  ///< when it was answered, seconds since 1970

  std::string line() const;  ///< one line of JSON with its '\n'
  /// Throws Error naming `where` for what is no such line.
  static Record parse(std::string_view line, const std::string& where);
};

}  // namespace eddy::crawl
