#include "hf/download.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "hf/download_client.h"
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

constexpr const char* kPartial = ".partial";  ///< what the name of a file ends in while it is fetched

/// From where it stands to its end; its bytes.
std::uint64_t hash_file(int fd, const fs::path& path, Hash& hash) {
  std::vector<char> buffer(1 << 20);
  for (std::uint64_t bytes = 0;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_run("cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) return bytes;
    hash.update(buffer.data(), static_cast<std::size_t>(n));
    bytes += static_cast<std::uint64_t>(n);
  }
}

struct RemoteFile {
  std::string path, hash;
  std::uint64_t size = 0;
  bool git = false;  ///< the hash is git's of a blob, not SHA-256
};

std::string read_token(const fs::path& path) {
  if (path.empty()) return "";
  std::string token = read_secret("", path.string());
  if (token.empty()) fail_input("{}: holds no token (one word is needed)", path.string());
  return token;
}

/// Slashes kept.
std::string escaped(const std::string& path) {
  return percent_encode(path, "/");
}

/// A relative path that stays below the folder.
void check_path(const std::string& path, const std::string& where) {
  const fs::path p(path);
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  std::string shown = path;
  std::replace_if(shown.begin(), shown.end(), control, '?');
  if (shown != path) fail_input("{}: lists a file '{}' with control characters in its name", where, shown);
  bool bad = path.empty() || p.is_absolute();
  for (const fs::path& part : p) bad = bad || part == ".." || part == "." || part.empty();
  if (bad) fail_input("{}: lists a file '{}', which would lie outside the folder", where, shown);
}

/// One entry of the hub's list. Throws Error (status 2) for what is not of the form a hub gives.
RemoteFile file_of(const nlohmann::json& entry, const std::string& url) {
  const auto text = [&](const nlohmann::json& from, const char* key) {
    const auto it = from.find(key);
    return it != from.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  static const nlohmann::json nothing;
  RemoteFile file{text(entry, "path"), text(entry, "oid"), 0, true};
  check_path(file.path, url);
  const auto lfs = entry.find("lfs");
  file.git = lfs == entry.end() || !lfs->is_object();
  const nlohmann::json& said = file.git ? entry : *lfs;
  if (!file.git) file.hash = text(said, "oid");
  const nlohmann::json& size = said.contains("size") ? said["size"] : entry.contains("size") ? entry["size"] : nothing;
  if (!size.is_number_unsigned() || size.get<std::uint64_t>() >> 50)
    fail_input("{}: gives no size for '{}'", url, file.path);
  file.size = size.get<std::uint64_t>();
  if (file.hash.size() != (file.git ? 40 : 64) || file.hash.find_first_not_of("0123456789abcdef") != std::string::npos)
    fail_input("{}: gives no hash for '{}'", url, file.path);
  return file;
}

std::vector<RemoteFile> list_files(HubClient& client, const std::string& repo, const DownloadOptions& o) {
  std::vector<RemoteFile> out;
  std::set<std::string> names;  // and those under which they grow
  std::string url =
      o.endpoint + "/api/models/" + escaped(repo) + "/tree/" + percent_encode(o.revision) + "?recursive=true";
  for (int page = 0; !url.empty(); ++page) {
    std::string body;
    const Answer answer = client.get(
        url,
        [&] {
          body.clear();
          return std::uint64_t{0};
        },
        [&](long, const char* data, std::size_t n) {
          body.append(data, n);
          return body.size() < (std::size_t{256} << 20);
        });
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_array() || page > 100000)
      fail_input("{}: is no list of files; is --endpoint a Hugging Face hub?", url);
    for (const auto& entry : json) {
      if (!entry.is_object() || !entry.contains("type") || entry["type"] != "file") continue;
      RemoteFile file = file_of(entry, url);
      if (!names.insert(file.path).second || !names.insert(file.path + kPartial).second)
        fail_input("{}: lists '{}' twice", url, file.path);
      out.push_back(std::move(file));
    }
    url = answer.next;
  }
  if (out.empty()) fail_input("{}: '{}' holds no files", o.endpoint, repo);
  return out;
}

/// What is fetched so far of a file, and its hash. One process has it at a time.
class Partial {
 public:
  Partial(fs::path path, const RemoteFile& file)
      : path_(std::move(path)), file_(file), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (fd_.get() < 0) fail();
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      fail_run("{}: another process is fetching this file", path_.string());
    hash_ = std::make_unique<Hash>(file.git, file.size);
    have_ = hash_file(fd_.get(), path_, *hash_);
    if (have_ > file.size) restart();
  }
  std::uint64_t have() const { return have_; }
  void restart() {
    if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) fail();
    hash_ = std::make_unique<Hash>(file_.git, file_.size);
    have_ = 0;
  }
  /// False: these are more than the file has.
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

using Advance = std::function<void(std::int64_t bytes)>;

/// Asks for what is missing until all of it is there, more than that comes, or the hub's answers bring nothing more.
void fill(HubClient& client, const std::string& url, Partial& part, const RemoteFile& file, const Advance& advance,
          int retries) {
  const auto restart = [&] {
    advance(-static_cast<std::int64_t>(part.have()));
    part.restart();
  };
  std::uint64_t most = part.have();
  for (int idle = 0; part.have() < file.size && idle <= retries;) {
    std::uint64_t asked = 0;
    bool first = true;
    const Answer answer = client.get(
        url,
        [&] {
          first = true;
          return asked = part.have();
        },
        [&](long status, const char* data, std::size_t n) {
          if (first && asked > 0 && status != 206) restart();  // the server sends all of it again
          first = false;
          if (!part.append(data, n)) return false;
          advance(static_cast<std::int64_t>(n));
          return true;
        });
    if (answer.stopped) return;
    if (answer.status == 416) restart();       // it has less than it had
    idle = part.have() > most ? 0 : idle + 1;  // an answer without its length may end early without a sign
    most = std::max(most, part.have());
  }
}

void fetch(HubClient& client, const std::string& url, const fs::path& path, const RemoteFile& file,
           const Advance& advance, int retries) {
  const fs::path partial = path.string() + kPartial;
  for (int attempt = 0;; ++attempt) {
    Partial part(partial, file);
    advance(static_cast<std::int64_t>(part.have()));
    fill(client, url, part, file, advance, retries);
    if (part.complete()) {
      part.sync();
      io::rename_durably(partial, path);
      return;
    }
    advance(-static_cast<std::int64_t>(part.have()));
    std::error_code ignored;
    fs::remove(partial, ignored);
    if (attempt > 0)
      fail_run("{}: what came has not the hash that the hub lists ({}), twice; nothing was kept of it", url, file.hash);
    log::warning("{}: what came has not the hash that the hub lists; it is fetched again", url);
  }
}

/// Is the file there as the hub lists it? One that is another is somebody's: it is refused.
bool is_there(const fs::path& path, const RemoteFile& file) {
  std::error_code none;
  if (!fs::exists(fs::symlink_status(path, none))) return false;
  const auto refuse = [&](const char* why) {
    fail_input("{} {}; move or remove it if it may be fetched anew, or choose another --out", path.string(), why);
  };
  if (!fs::is_regular_file(path, none)) refuse("is no file");
  if (fs::file_size(path, none) != file.size) refuse("is there, but has not the size that the hub lists");
  const io::Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_input("cannot read {}: {}", path.string(), std::strerror(errno));
  Hash hash(file.git, file.size);
  hash_file(fd.get(), path, hash);
  if (hash.hex() != file.hash) refuse("is there, but has not the hash that the hub lists");
  return true;
}

}  // namespace

Downloaded download(const std::string& repo, const fs::path& out, const DownloadOptions& given) {
  DownloadOptions o = given;
  while (o.endpoint.ends_with('/')) o.endpoint.pop_back();
  check_path(repo, "the repository's name");
  const std::string token = read_token(o.token_file);
  HubClient lister(o, token);
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
      HubClient client(o, token);
      for (std::size_t i = next++; i < files.size(); i = next++) {
        const RemoteFile& file = files[i];
        const fs::path path = out / file.path;
        if (is_there(path, file)) {
          advance(static_cast<std::int64_t>(file.size));
          const std::lock_guard lock(mutex);
          ++result.kept;
          continue;
        }
        fs::create_directories(path.parent_path());
        fetch(client,
              o.endpoint + "/" + escaped(repo) + "/resolve/" + percent_encode(o.revision) + "/" + escaped(file.path),
              path, file, advance, o.retries);
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
