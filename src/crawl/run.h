#pragma once
#include "comm/communicator.h"
#include "crawl/options.h"

namespace eddy::crawl {

/// Crawls with all ranks of `world`: rank 0 decides what is asked, each channel's owner asks and commits, and the two
/// meet every few milliseconds. The store does not depend on the number of ranks. Returns Exit::done, or Exit::stopped
/// when SIGTERM, SIGUSR1 or SIGINT to any rank ended it, with all state saved. Throws Error.
int run(comm::Communicator& world, const CrawlOptions& options, const std::string& ini);

}  // namespace eddy::crawl
