// eddy-crawl: from seed papers to a store of metadata, sources and PDFs; MPI.
#include "comm/session.h"
#include "crawl/options.h"
#include "crawl/run.h"

int main(int argc, char** argv) {
  return eddy::comm::run_mpi_main("eddy-crawl", argc, argv, [&](eddy::comm::Session& session) {
    eddy::crawl::CrawlOptions options;
    std::string ini;
    if (!eddy::crawl::parse_options(argc, argv, options, ini)) return 0;
    session.set_timeout(0);  // ranks wait for the one that writes a large file
    return eddy::crawl::run(session.world(), options, ini);
  });
}
