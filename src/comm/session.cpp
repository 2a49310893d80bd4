#include "comm/session.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/main.h"
#include "base/process.h"
#include "base/units.h"
#include "comm/abort.h"
#include "comm/mpi_communicator.h"
#include "comm/self_communicator.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
extern "C" const char* __lsan_default_options() {  // NOLINT: the sanitizer's name
  return "print_suppressions=0";
}
/// What libraries leak: PMIx of its queries, HDF5 of an object header that it finds damaged.
extern "C" const char* __lsan_default_suppressions() {  // NOLINT: the sanitizer's name
  return "leak:libpmix\nleak:libhdf5\n";
}
#endif

namespace eddy::comm {
namespace {

using Clock = std::chrono::steady_clock;

/// Open MPI and its plugins never free some of what they take at the start, and are unloaded before LeakSanitizer
/// could name them: what is allocated while this lives is not reported.
struct IgnoreLeaks {
#ifdef __SANITIZE_ADDRESS__
  IgnoreLeaks() {
    __lsan_disable();
  }
  ~IgnoreLeaks() {
    __lsan_enable();
  }
#else
  IgnoreLeaks() {}  // NOLINT: not trivial, so that a variable of it is used
#endif
};

/// MPI itself: initialised here, or by somebody else who then finalizes it.
class MpiLife {
 public:
  MpiLife(int* argc, char*** argv) {
    int finalized = 0, initialized = 0;
    MPI_Finalized(&finalized);
    if (finalized) fail_run("MPI was finalized already: a process can have one MPI session");
    MPI_Initialized(&initialized);
    int provided = MPI_THREAD_SINGLE;
    if (initialized) {
      MPI_Query_thread(&provided);
    } else {
      // Open MPI gives a process without mpiexec a daemon, for spawning others, which takes longer than all the rest.
      setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
      const IgnoreLeaks ignore;
      check(MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided));
      ours_ = true;
    }
    if (provided < MPI_THREAD_MULTIPLE)
      fail_run("this MPI gives thread level {} where MPI_THREAD_MULTIPLE ({}) is needed: use an MPI built with threads",
               provided, MPI_THREAD_MULTIPLE);
  }
  ~MpiLife() {
    if (!ours_ || std::uncaught_exceptions() > 0 || !may_finalize()) return;
#ifdef __SANITIZE_ADDRESS__
    __lsan_do_leak_check();  // now instead of at exit, when MPI has unloaded the plugins that still hold memory
#endif
    MPI_Finalize();
  }
  MpiLife(const MpiLife&) = delete;
  MpiLife& operator=(const MpiLife&) = delete;

 private:
  bool ours_ = false;
};

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

int environment_int(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  if (!text || !*text) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  return *end == 0 && value >= 0 && value < INT_MAX ? static_cast<int>(value) : otherwise;
}

MpiHandle duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check(MPI_Comm_dup(comm, &copy));
  return MpiHandle(copy);
}

/// Cores that this process may use: its own where the launcher bound it, its share where the host's ranks share one
/// set.
int usable_cores(MPI_Comm host) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) != 0)
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  cpu_set_t every, any;
  check(MPI_Allreduce(&mine, &every, sizeof mine, MPI_BYTE, MPI_BAND, host));
  check(MPI_Allreduce(&mine, &any, sizeof mine, MPI_BYTE, MPI_BOR, host));
  int ranks = 1;
  if (CPU_EQUAL(&every, &any)) check(MPI_Comm_size(host, &ranks));
  return std::max(1, CPU_COUNT(&mine) / ranks);
}

/// Cores of the process that started this one (mpiexec, slurmstepd), which a launcher does not bind; 0 if unknown.
int launcher_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(getppid(), sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

}  // namespace

struct Session::State {
  State(int* argc, char*** argv) : life(argc, argv) {}
  MpiLife life;
  std::unique_ptr<Abort> abort;
  std::shared_ptr<Watchdog> watchdog;
};

Session::Session(int* argc, char*** argv) : host_(host_name()), state_(std::make_unique<State>(argc, argv)) {
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_));
  log::configure(rank_, size_);

  MPI_Comm shared = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &shared));
  const MpiHandle host(shared);
  check(MPI_Comm_rank(shared, &local_rank_));
  check(MPI_Comm_size(shared, &local_size_));
  cores_ = usable_cores(shared);
  if (size_ > 1) {  // one rank alone inside an allocation may see the variables of its job
    local_rank_ = environment_int("SLURM_LOCALID", environment_int("OMPI_COMM_WORLD_LOCAL_RANK", local_rank_));
    local_size_ = environment_int("OMPI_COMM_WORLD_LOCAL_SIZE", local_size_);
  }

  state_->abort = std::make_unique<Abort>(size_ > 1 ? duplicate(MPI_COMM_WORLD) : MpiHandle(), rank_, size_);
  auto* abort = state_->abort.get();
  const auto expired = [this, abort](const Operation& late, double seconds) {
    abort->now(static_cast<int>(Exit::failed),
               fmt::format("{} on {} has not returned for {}: rank {} of {} in that group, world rank {} on host {}. "
                           "Another rank of the group died, hangs, or never came to this call (see its output); if the "
                           "work is only slow, raise comm.timeout_s",
                           late.name, *late.group, duration(seconds), late.rank, late.size, rank_, host_));
  };
  const auto report = [this, abort](const std::string& message, const std::function<void()>& last) {
    abort->now(static_cast<int>(Exit::failed), fmt::format("{} (world rank {} on host {})", message, rank_, host_),
               last);
  };
  state_->watchdog = std::make_shared<Watchdog>(expired, report);
  world_ = size_ > 1 ? std::make_unique<MpiCommunicator>(duplicate(MPI_COMM_WORLD), "world", state_->watchdog)
                     : self_communicator("world");
}

Session::~Session() = default;

void Session::set_timeout(double seconds) {
  state_->watchdog->set_timeout(size_ > 1 ? seconds : 0);
}

int Session::set_threads(int threads) {
  if (threads < 0) fail_input("the number of threads is {}: give 0 (automatic) or more", threads);
  if (threads == 0 && std::getenv("OMP_NUM_THREADS")) threads = omp_get_max_threads();
  if (threads == 0) {
    threads = cores_;
    const int all = launcher_cores();
    if (threads * local_size_ <= all / 2)  // Open MPI binds one or two ranks to a core each
      log::info("the launcher bound each rank to {} of the {} cores here: mpiexec --bind-to none lets them use all",
                threads, all);
  }
  omp_set_num_threads(threads);
  return threads;
}

int Session::finish(int status, const std::string& message) {
  std::fflush(nullptr);  // the launcher may end the slower ranks as soon as the first one returns an error
  if (size_ == 1) {
    if (!message.empty()) log::error("{}", message);
    return status;
  }
  const std::string text = fmt::format(
      "{} (rank {} on host {})",
      message.empty() ? fmt::format("this rank ended with status {}, others did not", status) : message, rank_, host_);
  // Smallest and largest status, and the first rank that did not succeed.
  const int mine[3] = {status, -status, status != 0 ? rank_ : INT_MAX};
  int all[3] = {};
  MPI_Request request;
  check(MPI_Iallreduce(mine, all, 3, MPI_INT, MPI_MIN, state_->abort->control(), &request));
  const bool patient = status == static_cast<int>(Exit::done) || status == static_cast<int>(Exit::stopped);
  const auto start = Clock::now();
  auto pause = std::chrono::milliseconds(1);
  for (int met = 0; !met;) {
    check(MPI_Test(&request, &met, MPI_STATUS_IGNORE));
    if (met) break;
    if (!patient && Clock::now() - start > std::chrono::seconds(2)) state_->abort->now(status, text);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(16));
  }
  if (all[0] == -all[1]) {
    if (rank_ == 0 && !message.empty()) log::error("{}", message);
    if (!may_finalize()) rank_ == 0 ? state_->abort->end(status) : state_->abort->await(status);
    return status;
  }
  if (rank_ != all[2]) state_->abort->await(status);
  state_->abort->now(status, text);
}

int run_mpi_main(const std::string& program, int argc, char** argv, const std::function<int(Session&)>& body) {
  report_file_size_limit();
  std::unique_ptr<Session> session;
  try {
    session = std::make_unique<Session>(&argc, &argv);
  } catch (const std::exception& e) {  // no job to agree with yet: the launcher ends the other ranks
    log::error("{}: {} (host {})", program, e.what(), host_name());
    return static_cast<int>(Exit::failed);
  }
  int status = static_cast<int>(Exit::failed);
  std::string message;
  try {
    status = body(*session);
  } catch (const Error& e) {
    status = static_cast<int>(e.status());
    message = program + ": " + e.what();
  } catch (const std::bad_alloc&) {
    message = program + ": out of memory";
  } catch (const std::exception& e) {
    message = program + ": " + message_of(e);
  }
  return session->finish(status, message);
}

}  // namespace eddy::comm
