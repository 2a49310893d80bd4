#include "train/program.h"

#include <cstdio>

#include "base/error.h"

#include "train/agree.h"
#include "train/check.h"
#include "train/trainer.h"

namespace eddy::train {

int program(comm::Session& session, int argc, char** argv) {
  Config config;
  Options options("eddy-train", "--config FILE [--section.key=value …] [--check]",
                  "Trains a DeepSeek-V3-shaped model; started by mpirun or srun, one process a rank.");
  config.add_to(options);
  if (!options.parse(argc, argv)) return static_cast<int>(Exit::done);
  config.validate();
  session.set_timeout(config.comm.while_files());
  if (!config.check) return train(session, config, options.ini());
  on_rank_0(session.world(), [&] {
    const std::string text = check(config, session.size());
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
  return static_cast<int>(Exit::done);
}

}  // namespace eddy::train
