#pragma once
// PDFs read by a GROBID server (https://github.com/kermitt2/grobid), which somebody else runs: its URL is given.
#include <atomic>
#include <string>
#include <string_view>

#include "extract/article.h"
#include "net/message.h"

namespace eddy::extract {

struct GrobidOptions {
  GrobidOptions();          ///< out of line: g++ 12 takes an aggregate's `url` for uninitialised
  std::string url;          ///< "http://host:8070"; empty: no GROBID
  double seconds = 300;     ///< a document
  double patience_s = 600;  ///< how long a server that is busy or gone is waited for
  double first_wait_s = 2;  ///< after the first answer of that kind; doubles up to longest_wait_s
  double longest_wait_s = 30;
  std::uint64_t pdf_bytes = std::uint64_t{256} << 20, answer_bytes = std::uint64_t{32} << 20;
};

/// One document at a time. What is wrong with a document is an outcome; what is wrong with the server is an exception,
/// so that an article does not depend on how busy the server was.
class Grobid {
 public:
  /// `stop` becomes true: what is under way is given up. Throws Error (status 2) for what is no http or https URL.
  explicit Grobid(const GrobidOptions& options, const std::atomic<bool>* stop = nullptr);

  /// The server's version ("0.8.1"; "unknown" where it does not tell). Throws Error (status 2) where none answers, or
  /// what answers is no GROBID.
  std::string version();

  /// The PDF's article. Rejected, for good, where the server fails on this document (HTTP 500 twice, nothing found, no
  /// TEI, too large, too slow, a connection cut three times). While the server is busy (503) or gone it is asked again,
  /// after growing waits or as long as Retry-After says; beyond `patience_s`, and for answers that no document explains
  /// (404, a redirect, TLS), throws Error (status 1). Throws Error (status 75) when it was told to stop.
  ArticleOutcome read(std::string_view pdf);

 private:
  net::Answer ask(const net::Request& request, double seconds);
  void wait(double seconds) const;
  void check_stop() const;
  GrobidOptions options_;
  const std::atomic<bool>* stop_;
};

}  // namespace eddy::extract
