#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/secret.h"
#include "crawl/payload.h"

namespace eddy_test {
namespace fs = std::filesystem;
namespace {

void pause_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> all;
  for (const auto& e : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(e.path().filename().c_str());
    if (pid <= 0) continue;
    std::string text;
    try {
      text = read_file(e.path() / "stat");
    } catch (const std::exception&) {
      continue;  // it ended meanwhile
    }
    const auto end = text.rfind(')');  // the name may hold anything
    if (end == std::string::npos) continue;
    char state = 0;
    pid_t parent = 0;
    std::istringstream(text.substr(end + 1)) >> state >> parent;
    all[pid] = parent;
  }
  return all;
}

std::string bin_dir() {
  const char* d = std::getenv("EDDY_BIN_DIR");
  return d ? d : "bin";
}

}  // namespace

Child::Child(std::vector<std::string> argv, const fs::path& output) {
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(out, 1);
  dup2(out, 2);
  std::vector<char*> args;
  for (auto& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  execvp(args[0], args.data());
  _exit(127);
}

Child::~Child() {
  if (running()) kill_all();
}

bool Child::running() {
  if (status_ >= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Child::wait(int timeout_s) {
  for (int i = 0; i < timeout_s * 200 && running(); ++i) pause_ms(5);
  if (!running()) return status_;
  kill_all();
  return 124;
}

void Child::signal(int number) const {
  kill(pid_, number);
}

void Child::kill_all() {
  std::vector<pid_t> victims{pid_};
  const auto all = parents();
  for (std::size_t i = 0; i < victims.size(); ++i)
    for (const auto& [child, parent] : all)
      if (parent == victims[i]) victims.push_back(child);
  for (const pid_t v : victims) kill(v, SIGKILL);
  for (int i = 0; i < 2000 && running(); ++i) pause_ms(5);
  for (const pid_t v : victims)  // those it left behind are not ours to wait for
    for (int i = 0; i < 2000 && kill(v, 0) == 0 && parents().count(v) && v != pid_; ++i) pause_ms(5);
}

TestServer::TestServer(const fs::path& folder, int papers, const std::string& faults)
    : log_(folder / ("log-" + faults)) {
  const fs::path port = folder / ("port-" + faults);
  child_ =
      std::make_unique<Child>(std::vector<std::string>{fs::path(bin_dir()).parent_path() / "tests/crawl-test-server",
                                                       port, log_, std::to_string(papers), faults},
                              folder / "server.out");
  for (int i = 0; i < 4000 && !fs::exists(port); ++i) pause_ms(5);
  if (!fs::exists(port)) throw std::runtime_error("the test server did not start");
  port_ = std::stoi(read_file(port));
}

std::vector<nlohmann::json> TestServer::log() const {
  return fs::exists(log_) ? read_lines(log_) : std::vector<nlohmann::json>{};
}

std::vector<std::string> crawl_command(const TestServer& server, const fs::path& out, int ranks,
                                       std::vector<std::string> more) {
  std::vector<std::string> argv;
  if (ranks > 0) argv = {"mpiexec", "-n", std::to_string(ranks)};
  argv.insert(argv.end(), {bin_dir() + "/eddy-crawl", "--out=" + out.string(), std::string("--contact=") + kContact,
                           "--retry.base_s=0.05", "--retry.longest_s=0.2", "--retry.attempts=4", "--net.stall_s=5",
                           "--net.host_interval_s=0.02", "--run.progress_s=1"});
  for (const char* name : {"s2", "arxiv", "crossref", "openalex", "unpaywall"}) {
    const std::string key = std::string("--api.") + name;
    argv.push_back(key + ".url=http://127.0.0.1:" + std::to_string(server.port()) + "/" + name);
    argv.push_back(key + ".interval_s=" + std::to_string(kIntervals.at(name)));
  }
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::vector<std::string> with_seeds(std::vector<std::string> more) {
  more.insert(more.end(), {"--from", "2101.00001", "10.5555/test.3"});
  return more;
}

RunResult crawl(const TestServer& server, const fs::path& out, int ranks, const std::vector<std::string>& more) {
  return run(crawl_command(server, out, ranks, more));
}

std::map<std::string, nlohmann::json> papers_of(const fs::path& store) {
  std::map<std::string, nlohmann::json> papers;
  for (auto& p : read_lines(store / "papers.jsonl")) papers[p.at("id")] = p;
  return papers;
}

std::vector<nlohmann::json> read_lines(const fs::path& file) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);)
    if (auto j = nlohmann::json::parse(line, nullptr, false); !j.is_discarded()) lines.push_back(std::move(j));
  return lines;
}

std::map<std::string, nlohmann::json> records_of(const fs::path& store) {
  std::map<std::string, nlohmann::json> records;
  if (!fs::exists(store / "records")) return records;
  for (const auto& e : fs::directory_iterator(store / "records"))
    for (auto& j : read_lines(e.path())) records[j.at("key")] = j;
  return records;
}

std::string key_of(const nlohmann::json& request) {
  std::string target = request.at("target"), service = request.at("service");
  for (const std::string& secret : {std::string("mailto=") + kContact, std::string("email=") + kContact})
    if (const auto at = target.find(secret); at != std::string::npos) target.erase(at - 1, secret.size() + 1);
  if (service.find(':') != std::string::npos)
    target = "http://" + service + target, service = "host:" + service;
  else
    target = target.substr(service.size() + 1);
  const std::string body = request.at("body");
  return service + " " + request.at("method").get<std::string>() + " " + target + (body.empty() ? "" : " " + body);
}

std::string results_of(const fs::path& store, const TestServer& server) {
  std::string text = read_file(store / "papers.jsonl") + read_file(store / "candidates.jsonl");
  const std::string port = std::to_string(server.port());
  for (auto at = text.find("_" + port); at != std::string::npos; at = text.find("_" + port, at))
    text.replace(at + 1, port.size(), "PORT");
  return text;
}

std::string first_difference(const std::string& a, const std::string& b) {
  std::istringstream x(a), y(b);
  for (std::string m, n;;) {
    const bool more_x = static_cast<bool>(std::getline(x, m)), more_y = static_cast<bool>(std::getline(y, n));
    if (!more_x && !more_y) return "";
    if (more_x != more_y || m != n) return (more_x ? m : "(end)") + "\n" + (more_y ? n : "(end)");
  }
}

std::string wrong_payload(const fs::path& store) {
  for (const auto& paper : read_lines(store / "papers.jsonl")) {
    const auto& p = paper.at("payload");
    if (p.is_null()) continue;
    std::ifstream in(store / p.at("tar").get<std::string>(), std::ios::binary);
    std::string bytes(p.at("bytes").get<std::size_t>(), '\0');
    in.seekg(p.at("offset").get<std::streamoff>());
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!in || eddy::crawl::sha256(bytes) != p.at("sha256")) return paper.dump();
  }
  return "";
}

}  // namespace eddy_test
