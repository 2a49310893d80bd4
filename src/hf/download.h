#pragma once
// A model's files from a Hugging Face hub (or anything that answers like one), with libcurl.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace eddy::hf {

struct DownloadOptions {
  std::string endpoint = "https://huggingface.co";  ///< base URL
  std::string revision = "main";
  std::filesystem::path token_file;  ///< a file of mode 0600 with an access token; empty: none
  std::string proxy;                 ///< URL; empty: as http_proxy, https_proxy, no_proxy say
  int parallel = 4;                  ///< files at a time
  int retries = 8;                   ///< of a request that failed for a passing reason
  double first_wait_s = 1;           ///< before the first retry; doubles with each
  double stall_s = 60;               ///< a connection that brings nothing for so long is given up, and tried again
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  ///< bytes; one call at a time
};

struct Downloaded {
  std::size_t files = 0, kept = 0;  ///< all files of the repository; those that were there already
  std::uint64_t bytes = 0;          ///< of all
};

/// Fetches every file of `repo` ("deepseek-ai/DeepSeek-R1") into `out`: GET api/models/REPO/tree/REVISION lists them,
/// REPO/resolve/REVISION/PATH gives them. A file grows as PATH.partial, goes on from there after an interruption, and
/// gets its name when its SHA-256 (large files) or git blob hash (small ones) is the listed one; files that are there
/// are hashed as well. Throws Error: status 2 for a repository, revision or token that the hub refuses, a token file
/// that others can read, a path that leads out of the folder, and a file there that is another than the listed one
/// (it is left alone); status 1 when retries did not help or a hash differs twice. Running it again goes on.
Downloaded download(const std::string& repo, const std::filesystem::path& out, const DownloadOptions& options);

}  // namespace eddy::hf
