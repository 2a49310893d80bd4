#include "crawl/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "crawl/arxiv.h"
#include "crawl/json_text.h"
#include "crawl/paper.h"
#include "crawl/payload.h"

namespace eddy::crawl {
namespace {

net::ClientOptions client_options(const CrawlOptions& o) {
  net::ClientOptions c = o.net;
  c.user_agent = fmt::format("eddy-crawl/{}{}", EDDY_VERSION, o.contact.empty() ? "" : " (mailto:" + o.contact + ")");
  return c;
}

std::vector<std::string> secrets_of(const std::vector<Service>& services) {
  std::vector<std::string> secrets;
  for (const Service& s : services)
    if (!s.key.empty()) secrets.push_back(s.key);
  return secrets;
}

const Service* find(const std::vector<Service>& services, const std::string& channel) {
  const auto at = std::find_if(services.begin(), services.end(), [&](const Service& s) { return s.name == channel; });
  return at == services.end() ? nullptr : &*at;
}

/// Hosts that only their own channel may talk to.
std::vector<std::string> foreign_hosts(const std::vector<Service>& services, const std::string& channel) {
  std::vector<std::string> hosts;
  for (const Service& s : services)
    if (s.name != channel) hosts.push_back(net::host_of(s.url));
  if (channel != "arxiv") hosts.insert(hosts.end(), {"arxiv.org", "www.arxiv.org", "export.arxiv.org"});
  return hosts;
}

const net::Judgement kGood{net::Verdict::good, ""};
net::Judgement again(const std::string& why) {
  return {net::Verdict::again, why};
}

}  // namespace

struct Engine::Line {
  net::Channel channel;
  const Service* service;
  bool told = false;  ///< that its server cannot be reached
};

/// The records keep a reason's kind; what to look for stands in libcurl's words.
void Engine::tell_once(Line& line, const net::Answer& answer) {
  if (!std::exchange(line.told, true))
    log::warning("{}: {}: {}", line.channel.name(), net::name_of(answer.failure), answer.what);
}

int owner_of(const std::string& channel, const std::vector<Service>& services, int ranks) {
  for (std::size_t i = 0; i < services.size(); ++i)
    if (services[i].name == channel) return static_cast<int>(i) % ranks;
  return static_cast<int>(xxh3(channel) % static_cast<std::uint64_t>(ranks));
}

Engine::Engine(const CrawlOptions& options, std::vector<Service> services, int rank)
    : options_(options),
      services_(std::move(services)),
      client_(client_options(options)),
      writer_(options.out, rank, options.segment_bytes, secrets_of(services_)) {}

Engine::~Engine() = default;

Engine::Line& Engine::line_of(const std::string& channel) {
  const auto [at, fresh] = places_.emplace(channel, lines_.size());
  if (!fresh) return *lines_[at->second];
  const Service* service = find(services_, channel);
  const std::filesystem::path state = std::filesystem::path(options_.out) / "state" / (file_stem(channel) + ".pace");
  net::Pace pace(state, service ? service->interval_s : options_.host_interval_s, service ? service->floor_s : 0,
                 net::now());
  net::ChannelOptions o{channel, options_.retry, options_.max_redirects, foreign_hosts(services_, channel), {}};
  if (channel == "arxiv") o.busy_statuses = {403};  // its answer to clients it takes for too fast
  lines_.push_back(std::make_unique<Line>(Line{net::Channel(std::move(o), std::move(pace)), service}));
  return *lines_.back();
}

net::Request Engine::request_of(const Ask& ask, const Line& line) const {
  net::Request r;
  r.method = ask.method;
  r.body = ask.body;
  r.url = line.service ? line.service->url + ask.path : ask.path;
  r.decode = ask.form != Form::payload;
  r.max_bytes = ask.form == Form::payload ? options_.payload_bytes : options_.answer_bytes;
  if (line.service) {
    r.secret_query = line.service->secret_query;
    if (!line.service->key.empty() && !line.service->key_header.empty())
      r.headers.emplace_back(line.service->key_header,
                             line.service->name == "crossref" ? "Bearer " + line.service->key : line.service->key);
  }
  if (!r.body.empty()) r.headers.emplace_back("Content-Type", "application/json");
  if (ask.form == Form::json) r.headers.emplace_back("Accept", "application/json");
  return r;
}

net::Judgement Engine::examine(const Ask& ask, const net::Answer& answer, int& empty_feeds) const {
  switch (ask.form) {
    case Form::json: {
      const auto j = parse_answer(answer.body);
      return j.is_object() || j.is_array() ? kGood : again("not JSON");
    }
    case Form::xml: {
      pugi::xml_document document;
      if (!document.load_buffer(answer.body.data(), answer.body.size())) return again("not XML");
      const std::string root = document.document_element().name();
      if (root != "feed" && root != "OAI-PMH") return again("not XML");  // a page that says sorry
      // A feed without entries is sometimes sent by mistake: it is believed the second time.
      return root == "feed" && arxiv::empty_feed(answer.body) && empty_feeds++ == 0 ? again("empty feed") : kGood;
    }
    case Form::payload: {
      const PayloadKind kind = inspect_payload(answer.body, {options_.unpacked_bytes, 200});
      if (!kind.kind.empty()) return kGood;
      // arXiv shows a page while it makes a PDF; elsewhere a page is all there will be.
      const bool hope = kind.damaged || ask.channel == "arxiv";
      return {hope && kind.reason != "decompression bomb" ? net::Verdict::again : net::Verdict::give_up, kind.reason};
    }
  }
  return kGood;
}

void Engine::take(const Ask& ask) {
  Line& line = line_of(ask.channel);
  const std::uint64_t id = next_++;
  asks_[id] = ask;
  net::Job job{id, request_of(ask, line), {}};
  job.examine = [this, ask, empty_feeds = 0](const net::Answer& answer) mutable {
    return examine(ask, answer, empty_feeds);
  };
  line.channel.push(std::move(job));
}

std::string Engine::commit(const Ask& ask, const net::Outcome& o) {
  Record r;
  r.key = ask.key();
  r.channel = ask.channel;
  r.url = o.url;
  r.ok = o.good;
  r.reason = o.reason;
  r.status = o.answer.status;
  r.attempts = o.attempts;
  r.time = o.answer.answered_at;
  if (o.good && ask.form == Form::json) {
    r.json = parse_answer(o.answer.body);
  } else if (o.good && ask.form == Form::xml) {
    r.text = o.answer.body;
  } else if (o.good) {
    const PayloadKind kind = inspect_payload(o.answer.body, {options_.unpacked_bytes, 200});
    Payload p{kind.kind, kind.media_type, sha256(o.answer.body), o.answer.body.size(), "", "", 0};
    p.member = p.sha256 + "." + kind.ending;
    const TarPlace place = writer_.store(ask.channel, p.member, o.answer.body);
    p.tar = "payloads/" + place.file;
    p.offset = place.offset;
    r.payload = p.json();
  }
  return writer_.commit(r);
}

std::vector<std::string> Engine::work(double seconds) {
  std::vector<std::string> lines;
  const double until = net::now() + seconds;
  for (;;) {
    double next = until;
    for (std::size_t i = 0; i < lines_.size() && !stopping_; ++i) {
      const double t = net::now();
      const auto at = lines_[i]->channel.next_at(t);
      if (at && *at <= t)
        client_.start(i, lines_[i]->channel.send(t));
      else if (at)
        next = std::min(next, *at);
    }
    for (auto& finished : client_.poll(std::max(0.0, next - net::now()))) {
      Line& line = *lines_[finished.id];
      const auto outcome = line.channel.receive(std::move(finished.answer), net::now());
      if (!outcome) continue;
      if (outcome->answer.failure != net::Failure::none && outcome->answer.status == 0)
        tell_once(line, outcome->answer);
      const auto ask = asks_.extract(outcome->id);
      if (line.service && !line.service->key.empty() &&
          (outcome->answer.status == 401 || outcome->answer.status == 403))
        fail_input("{} refuses the key (HTTP {}): check it, or unset it to ask without one", line.service->title,
                   outcome->answer.status);
      lines.push_back(commit(ask.mapped(), *outcome));
    }
    if (net::now() >= until) return lines;
  }
}

void Engine::stop() {
  stopping_ = true;
  for (auto& line : lines_) line->channel.forget_waiting();
}

}  // namespace eddy::crawl
