#pragma once
// What an Error says, for tests of messages.
#include <string>

#include "base/error.h"

namespace eddy_test {

struct Caught {
  std::string text = "nothing was thrown";
  int status = 0;
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};
template <class F>
Caught caught(F body) {
  try {
    body();
  } catch (const eddy::Error& e) {
    return {e.what(), static_cast<int>(e.status())};
  }
  return {};
}

}  // namespace eddy_test
