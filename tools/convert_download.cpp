#include <filesystem>

#include "base/error.h"
#include "base/options.h"
#include "base/units.h"
#include "convert_commands.h"
#include "convert_common.h"
#include "hf/download.h"

namespace eddy::convert {

int download(comm::Session& session, const Arguments& arguments) {
  std::string repo, out, token_file;
  hf::DownloadOptions how;
  Options options(
      "eddy-convert download", "REPO --out DIR [options]",
      "Fetches a model's files from a Hugging Face hub; goes on where it was interrupted, and compares every "
      "file with the hash that the hub lists.");
  options.add("repo", &repo, "e.g. deepseek-ai/DeepSeek-R1", {.required = true});
  options.add("out", &out, "folder to write into", {.required = true});
  options.add("endpoint", &how.endpoint, "base URL of the hub");
  options.add("revision", &how.revision, "branch, tag or commit");
  options.add("token-file", &token_file, "file of mode 0600 that holds an access token");
  options.add("proxy", &how.proxy, "URL of a proxy; default: as http_proxy, https_proxy and no_proxy say");
  options.add("parallel", &how.parallel, "files at a time", {.min = 1, .max = 64});
  options.add("retries", &how.retries, "of a request that failed for a passing reason", {.min = 0, .max = 1000});
  options.add("first-wait", &how.first_wait_s, "seconds before the first retry; doubles with each, up to a minute",
              {.min = 0, .max = 60});
  options.positional("repo");
  if (!options.parse(arguments)) return 0;
  if (session.rank() != 0) return 0;
  how.token_file = token_file;
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) fail_input("{}: cannot be created: {}", out, error.message());
  std::unique_ptr<log::Progress> progress;
  how.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) progress = std::make_unique<log::Progress>("downloading", total, "bytes");
    progress->update(done);
  };
  const hf::Downloaded got = hf::download(repo, out, how);
  progress.reset();
  log::info("{}: {} files, {}, every hash as listed{}", out, got.files, bytes_text(static_cast<double>(got.bytes)),
            got.kept ? fmt::format(" ({} were there already)", got.kept) : "");
  return 0;
}

}  // namespace eddy::convert
