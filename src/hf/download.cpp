#include "hf/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "io/file.h"

namespace eddy::hf {
namespace fs = std::filesystem;
namespace {

/// A hash over pieces: SHA-256, or git's SHA-1 of a blob.
class Hash {
 public:
  Hash(bool git, std::uint64_t size) : state_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!state_ || EVP_DigestInit_ex(state_.get(), git ? EVP_sha1() : EVP_sha256(), nullptr) != 1)
      fail_run("OpenSSL has no {}", git ? "SHA-1" : "SHA-256");
    const std::string head = "blob " + std::to_string(size) + '\0';
    if (git) update(head.data(), head.size());
  }
  void update(const void* data, std::size_t bytes) { EVP_DigestUpdate(state_.get(), data, bytes); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_DigestFinal_ex(state_.get(), digest, &n);
    std::string out;
    for (unsigned int i = 0; i < n; ++i) out += fmt::format("{:02x}", digest[i]);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> state_;
};

struct RemoteFile {
  std::string path, hash;
  std::uint64_t size = 0;
  bool git = false;  ///< the hash is git's of a blob, not SHA-256
};

struct Answer {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string next;  ///< of a list in pages: the next one's URL
};

/// A connection with the options that all requests share. One thread's.
class Client {
 public:
  using Sink = std::function<bool(long status, const char* data, std::size_t bytes)>;

  Client(const DownloadOptions& options, const std::string& token)
      : options_(options), handle_(curl_easy_init(), curl_easy_cleanup), headers_(nullptr, curl_slist_free_all) {
    if (!handle_) fail_run("libcurl could not be started");
    if (!token.empty())  // libcurl leaves it out where a redirection leads to another host
      headers_.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str()));
  }

  /// One request; the body from byte `from` on goes to `sink`, which false ends.
  Answer get(const std::string& url, std::uint64_t from, const Sink& sink) {
    CURL* h = handle_.get();
    curl_easy_reset(h);
    Answer answer;
    struct Call {
      CURL* handle;
      const Sink& sink;
      Answer& answer;
    } call{h, sink, answer};
    curl_easy_setopt(h, CURLOPT_URL, url.c_str());
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "eddy/" EDDY_VERSION);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers_.get());
    if (!options_.proxy.empty()) curl_easy_setopt(h, CURLOPT_PROXY, options_.proxy.c_str());
    const std::string range = std::to_string(from) + "-";
    if (from > 0) curl_easy_setopt(h, CURLOPT_RANGE, range.c_str());
    const auto write = +[](char* data, std::size_t one, std::size_t n, void* to) -> std::size_t {
      Call& c = *static_cast<Call*>(to);
      curl_easy_getinfo(c.handle, CURLINFO_RESPONSE_CODE, &c.answer.status);
      if (c.answer.status >= 300) return one * n;  // an error's page
      return c.sink(c.answer.status, data, one * n) ? one * n : 0;
    };
    const auto header = +[](char* data, std::size_t one, std::size_t n, void* to) -> std::size_t {
      const std::string line(data, one * n);
      if (line.size() > 5 && strncasecmp(line.c_str(), "link:", 5) == 0 &&
          line.find("rel=\"next\"") != std::string::npos)
        if (const auto a = line.find('<'), b = line.find('>'); a < b && b != std::string::npos)
          static_cast<Call*>(to)->answer.next = line.substr(a + 1, b - a - 1);
      return one * n;
    };
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, write);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &call);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, &call);
    answer.code = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }

  /// get() until it succeeds; `from` is asked anew before each try.
  Answer get_surely(const std::string& url, const std::function<std::uint64_t()>& from, const Sink& sink) {
    double wait = options_.first_wait_s;
    for (int attempt = 0;; ++attempt) {
      const Answer a = get(url, from(), sink);
      if (a.code == CURLE_OK && a.status >= 200 && a.status < 300) return a;
      if (a.code == CURLE_OK && (a.status == 401 || a.status == 403))
        fail_input("{}: the hub answers {}: this repository needs a token that may read it (--token-file)", url,
                   a.status);
      if (a.code == CURLE_OK && a.status == 404)
        fail_input("{}: the hub answers 404: check the repository's name and --revision", url);
      const std::string why =
          a.code == CURLE_OK ? fmt::format("HTTP status {}", a.status) : std::string(curl_easy_strerror(a.code));
      if (attempt >= options_.retries)
        fail_run("{}: {} after {} tries; run the same command again to go on", url, why, attempt + 1);
      log::warning("{}: {}; tries again in {:.0f} s", url, why, wait);
      std::this_thread::sleep_for(std::chrono::duration<double>(wait));
      wait = std::min(60.0, 2 * wait);
    }
  }

 private:
  const DownloadOptions& options_;
  std::unique_ptr<CURL, void (*)(CURL*)> handle_;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers_;
};

std::string read_token(const fs::path& path) {
  if (path.empty()) return "";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail_input("cannot read {}: {}", path.string(), std::strerror(errno));
  if (info.st_mode & 077)
    fail_input("{}: others can read this token (mode {:o}); run chmod 600 {}", path.string(), info.st_mode & 0777,
               path.string());
  std::string token = io::read_file(path);
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  if (token.empty() || token.find_first_of(" \r\n\t") != std::string::npos)
    fail_input("{}: holds no token (one word is needed)", path.string());
  return token;
}

/// Percent-encoded, slashes kept.
std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path)
    if (std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-._~/", c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

/// A relative path that stays below the folder.
void check_path(const std::string& path, const std::string& where) {
  const fs::path p(path);
  bool bad = path.empty() || p.is_absolute() || path.find('\0') != std::string::npos;
  for (const fs::path& part : p) bad = bad || part == ".." || part == "." || part.empty();
  if (bad) fail_input("{}: lists a file '{}', which would lie outside the folder", where, path);
}

std::vector<RemoteFile> list_files(Client& client, const std::string& repo, const DownloadOptions& o) {
  std::vector<RemoteFile> out;
  std::string url = o.endpoint + "/api/models/" + escaped(repo) + "/tree/" + escaped(o.revision) + "?recursive=true";
  while (!url.empty()) {
    std::string body;
    const Answer answer = client.get_surely(
        url,
        [&] {
          body.clear();
          return std::uint64_t{0};
        },
        [&](long, const char* data, std::size_t n) {
          body.append(data, n);
          return body.size() < (std::size_t{256} << 20);
        });
    const auto json = parse_json<nlohmann::json>(body, url);
    if (!json.is_array()) fail_input("{}: is no list of files; is --endpoint a Hugging Face hub?", url);
    for (const auto& entry : json) {
      if (!entry.is_object() || entry.value("type", "") != "file") continue;
      RemoteFile file{entry.value("path", ""), entry.value("oid", ""), entry.value("size", std::uint64_t{0}), true};
      check_path(file.path, url);
      if (entry.contains("lfs") && entry["lfs"].is_object()) {
        file.hash = entry["lfs"].value("oid", "");
        file.size = entry["lfs"].value("size", file.size);
        file.git = false;
      }
      if (file.hash.empty()) fail_input("{}: gives no hash for '{}'", url, file.path);
      out.push_back(std::move(file));
    }
    url = answer.next;
  }
  if (out.empty()) fail_input("{}: '{}' holds no files", o.endpoint, repo);
  return out;
}

/// What is fetched so far of a file, and its hash.
class Partial {
 public:
  Partial(fs::path path, const RemoteFile& file)
      : path_(std::move(path)), file_(file), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (fd_.get() < 0) fail();
    hash_ = std::make_unique<Hash>(file.git, file.size);
    std::vector<char> buffer(1 << 20);
    for (;;) {
      const ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
      if (n < 0) fail();
      if (n == 0) break;
      hash_->update(buffer.data(), static_cast<std::size_t>(n));
      have_ += static_cast<std::uint64_t>(n);
    }
    if (have_ > file.size) restart();
  }
  std::uint64_t have() const { return have_; }
  void restart() {
    if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) fail();
    hash_ = std::make_unique<Hash>(file_.git, file_.size);
    have_ = 0;
  }
  bool append(const char* data, std::size_t bytes) {
    if (have_ + bytes > file_.size) return false;
    hash_->update(data, bytes);
    have_ += bytes;
    while (bytes > 0) {
      const ssize_t n = ::write(fd_.get(), data, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      data += n;
      bytes -= static_cast<std::size_t>(n);
    }
    return true;
  }
  bool complete() { return have_ == file_.size && hash_->hex() == file_.hash; }
  void sync() {
    if (::fsync(fd_.get()) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { fail_run("cannot write {}: {}", path_.string(), std::strerror(errno)); }
  fs::path path_;
  const RemoteFile& file_;
  io::Descriptor fd_;
  std::unique_ptr<Hash> hash_;
  std::uint64_t have_ = 0;
};

void fetch(Client& client, const std::string& url, const fs::path& path, const RemoteFile& file,
           const std::function<void(std::int64_t)>& advance) {
  const fs::path partial = path.string() + ".partial";
  for (int attempt = 0;; ++attempt) {
    Partial part(partial, file);
    advance(static_cast<std::int64_t>(part.have()));
    std::exception_ptr failure;  // none may pass through libcurl
    std::uint64_t asked = 0;
    bool first = true;
    if (part.have() < file.size)
      client.get_surely(
          url,
          [&] {
            if (failure) std::rethrow_exception(failure);
            first = true;
            return asked = part.have();
          },
          [&](long status, const char* data, std::size_t n) {
            try {
              if (first && asked > 0 && status != 206) {  // the server sends all of it again
                advance(-static_cast<std::int64_t>(part.have()));
                part.restart();
              }
              first = false;
              if (!part.append(data, n)) return false;
              advance(static_cast<std::int64_t>(n));
              return true;
            } catch (...) {
              failure = std::current_exception();
              return false;
            }
          });
    const std::uint64_t have = part.have();
    if (part.complete()) {
      part.sync();
      io::rename_durably(partial, path);
      return;
    }
    advance(-static_cast<std::int64_t>(have));
    std::error_code ignored;
    fs::remove(partial, ignored);
    if (attempt > 0)
      fail_run("{}: what came has not the hash that the hub lists ({}), twice; nothing was kept of it", url, file.hash);
    log::warning("{}: what came has not the hash that the hub lists; it is fetched again", url);
  }
}

}  // namespace

Downloaded download(const std::string& repo, const fs::path& out, const DownloadOptions& given) {
  DownloadOptions o = given;
  while (o.endpoint.ends_with('/')) o.endpoint.pop_back();
  check_path(repo, "the repository's name");
  const std::string token = read_token(o.token_file);
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Client lister(o, token);
  std::vector<RemoteFile> files = list_files(lister, repo, o);
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.size > b.size; });
  Downloaded result{files.size(), 0, 0};
  for (const auto& f : files) result.bytes += f.size;

  std::mutex mutex;
  std::int64_t done = 0;
  const auto advance = [&](std::int64_t bytes) {
    const std::lock_guard lock(mutex);
    done += bytes;
    if (o.progress) o.progress(static_cast<std::uint64_t>(std::max<std::int64_t>(0, done)), result.bytes);
  };
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Client client(o, token);
      for (std::size_t i = next++; i < files.size(); i = next++) {
        const RemoteFile& file = files[i];
        const fs::path path = out / file.path;
        std::error_code none;
        if (fs::exists(path, none) && fs::file_size(path, none) == file.size) {
          advance(static_cast<std::int64_t>(file.size));
          const std::lock_guard lock(mutex);
          ++result.kept;
          continue;
        }
        fs::create_directories(path.parent_path());
        fetch(client, o.endpoint + "/" + escaped(repo) + "/resolve/" + escaped(o.revision) + "/" + escaped(file.path),
              path, file, advance);
      }
    } catch (...) {
      next = files.size();
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < o.parallel; ++i) helpers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  return result;
}

}  // namespace eddy::hf
