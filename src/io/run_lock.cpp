#include "io/run_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/units.h"
#include "io/file.h"

namespace eddy::io {
namespace fs = std::filesystem;
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Holder {
  ProcessId process;
  double age = 0;  // seconds since the last heartbeat
  std::string described() const {
    return fmt::format("host {}, {}process {}, last heartbeat {} ago", process.host,
                       process.job.empty() ? "" : fmt::format("job {}, ", process.job), process.pid, duration(age));
  }
};

/// A lock whose writer was cut off between creating and writing it holds nothing: its age is the file's.
Holder parse(const std::string& text, const fs::path& file) {
  Holder h;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  try {  // throws for what is no object, and for values of other kinds
    h.process = {json.value("host", ""), json.value("job", ""), json.value("pid", std::int64_t{0}),
                 json.value("started", std::uint64_t{0})};
    h.age = std::max(0.0, now() - json.value("heartbeat", 0.0));
    return h;
  } catch (const nlohmann::json::exception&) {
    h = {};
  }
  std::error_code gone;
  const auto written = fs::last_write_time(file, gone);
  h.process.host = "unknown";
  if (!gone) h.age = std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count();
  return h;
}

}  // namespace

std::string RunLock::text() const {
  const nlohmann::json json{
      {"host", self_.host}, {"job", self_.job}, {"pid", self_.pid}, {"started", self_.started}, {"heartbeat", now()}};
  return json.dump() + "\n";
}

/// False when the file is there already.
bool RunLock::create() const {
  const io::Descriptor fd(open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (fd.get() < 0) {
    if (errno == EEXIST) return false;
    fail_input("{}: the run's lock cannot be made: {}", file_.string(), std::strerror(errno));
  }
  const std::string content = text();
  if (write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    fail_run("{}: the run's lock cannot be written: {}", file_.string(), std::strerror(errno));
  return true;
}

/// Removes the dead run's lock. Of several that try, rename(2) lets one win; a new lock that slipped in is put back.
void RunLock::take_over(const std::string& seen) const {
  const fs::path aside = fmt::format("{}.{}.{}", file_.string(), self_.host, self_.pid);
  if (std::rename(file_.c_str(), aside.c_str()) != 0) return;
  if (io::read_file(aside) != seen && link(aside.c_str(), file_.c_str()) != 0)
    log::warning("{}: another run's lock could not be put back: {}", file_.string(), std::strerror(errno));
  unlink(aside.c_str());
}

RunLock::RunLock(fs::path file, const ProcessId& self, std::chrono::milliseconds beat)
    : file_(std::move(file)), self_(self) {
  for (int attempt = 0; !create(); ++attempt) {
    std::string seen;
    try {
      seen = io::read_file(file_);
    } catch (const Error& e) {
      if (attempt > 1000) fail_input("{}: a run's lock has this name, and it is none: {}", file_.string(), e.what());
      continue;  // it went away meanwhile
    }
    const Holder holder = parse(seen, file_);
    const bool here = holder.process.host == self_.host;
    const bool earlier_attempt = !self_.job.empty() && holder.process.job == self_.job;
    const bool live = here ? runs_here(holder.process)
                           : !earlier_attempt && holder.age < std::chrono::duration<double>(kStale).count();
    if (live || attempt > 10)
      fail_input(
          "what {} guards is in use by a live run ({}). Wait until it has ended, or give another folder. The lock of a "
          "run that died on another host is taken over when its heartbeat is {} old",
          file_.string(), holder.described(), duration(std::chrono::duration<double>(kStale).count()));
    log::info("{}: taking over the lock of a run that ended without removing it ({})", file_.string(),
              holder.described());
    take_over(seen);
  }
  heart_ = std::thread([this, beat] {
    std::unique_lock hold(mutex_);
    while (!ended_.wait_for(hold, beat, [this] { return end_; })) refresh();
  });
}

/// The next heartbeat. A file that is not ours any more is left alone.
void RunLock::refresh() {
  try {
    const auto holder = parse(io::read_file(file_), file_).process;
    if (holder.pid != self_.pid || holder.host != self_.host) {
      log::warning("{}: another run (host {}, process {}) has taken this run's lock", file_.string(), holder.host,
                   holder.pid);
      end_ = true;
      return;
    }
    const fs::path fresh = file_.string() + ".beat";
    {
      const io::Descriptor fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      const std::string content = text();
      if (fd.get() < 0 || write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        fail_run("{}", std::strerror(errno));
    }
    fs::rename(fresh, file_);          // readers see a whole file
  } catch (const std::exception& e) {  // a full disk must not end the run here: saving will say so
    log::warning("{}: the heartbeat could not be written: {}", file_.string(), e.what());
  }
}

RunLock::~RunLock() {
  {
    const std::lock_guard hold(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  if (heart_.joinable()) heart_.join();
  try {
    const auto holder = parse(io::read_file(file_), file_).process;
    if (holder.pid == self_.pid && holder.host == self_.host) unlink(file_.c_str());
  } catch (const std::exception&) {  // the lock is gone, or the folder is: nothing to release
  }
}

}  // namespace eddy::io
