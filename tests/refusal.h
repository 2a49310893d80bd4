#pragma once
// What a refusal says: tests of bad input compare parts of its message.
#include <functional>
#include <string>

#include "base/error.h"
#include "catch.h"

namespace eddy_test {

/// Runs `act`, which must throw an Error of this status; its message.
inline std::string refusal(const std::function<void()>& act, eddy::Exit status = eddy::Exit::unusable) {
  try {
    act();
  } catch (const eddy::Error& e) {
    CHECK(e.status() == status);
    return e.what();
  }
  FAIL("was not refused");
  return "";
}

/// The first of `parts` that `text` lacks, followed by the text; empty when all are there. CHECK(lacks(…) == "") shows
/// it.
inline std::string lacks(const std::string& text, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts)
    if (text.find(part) == std::string::npos) return "'" + part + "' in: " + text;
  return "";
}

}  // namespace eddy_test
