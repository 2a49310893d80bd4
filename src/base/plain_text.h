#pragma once
#include <exception>
#include <string>

namespace eddy {
/// What a library's exception says, for people: "/a → /b: Permission denied" for one of std::filesystem, the words
/// behind the codes of nlohmann's JSON, else what().
std::string plain_text(const std::exception& exception);
}  // namespace eddy
