#pragma once
// What became of a document: its text, or why it has none. Bad documents are normal, so they are values, not
// exceptions.
#include <cstdint>
#include <string>

namespace eddy::extract {

struct Outcome {
  std::string text{};    ///< cleaned UTF-8; empty when rejected
  std::string reason{};  ///< why it was rejected, one of few phrases (they are counted); empty when it was not
  std::string detail{};  ///< more about the reason, for people; may be empty
  std::string grobid{};  ///< of a PDF sent to a GROBID server: "used", or why eddy-pdf-text read it after all
  std::uint64_t invalid_utf8 = 0;       ///< ill-formed sequences replaced
  std::uint64_t controls = 0;           ///< control characters removed
  std::uint64_t unresolved_inputs = 0;  ///< LaTeX inputs left out

  bool rejected() const { return !reason.empty(); }
  static Outcome reject(std::string why, std::string more = "") {
    return {.reason = std::move(why), .detail = std::move(more)};
  }
};

}  // namespace eddy::extract
