#pragma once
// Documents that share a run of words with an evaluation set are not trained on.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shard/build_options.h"
#include "text/overlap.h"

namespace eddy::shard {

class Decontaminator {
 public:
  /// Reads the sets: every text of an object counts, also in lists and objects within. Throws Error (status 2) naming
  /// file and line for what is no JSON, and a file without any text.
  explicit Decontaminator(const DecontaminateOptions& options);

  struct Hit {
    std::string item;   ///< "gsm8k.jsonl:17"
    std::string words;  ///< what is shared, as the document has it
  };
  std::optional<Hit> find(std::string_view text);
  bool empty() const { return items_.empty(); }
  std::uint64_t items() const { return items_.size(); }
  std::uint64_t too_short() const { return too_short_; }  ///< items none of whose texts is long enough to be checked

 private:
  text::Overlap overlap_;
  std::vector<std::string> items_;
  std::uint64_t too_short_ = 0;
};

}  // namespace eddy::shard
