#pragma once
// Keys of services: from the environment or from a file only its owner can read; never from an option's value, which
// `ps` and config.ini would show.
#include <string>
#include <string_view>
#include <vector>

namespace eddy {

/// The key in environment variable `variable`, or, where that is unset or empty, in `file` (its first line), or "".
/// Throws Error (status 2), never quoting the key, where the file is readable or writable by others than its owner
/// (mode 0600 is wanted), cannot be read, or where the key has blanks, quotes or control characters or is too short.
std::string read_secret(const std::string& variable, const std::string& file);

/// `text` with every occurrence of every secret, as it is or percent-encoded, replaced by "REDACTED".
std::string redact(std::string text, const std::vector<std::string>& secrets);

/// Percent-encodes all but letters, digits, '-', '.', '_', '~' and the characters of `keep` (RFC 3986).
std::string percent_encode(std::string_view text, std::string_view keep = "");

}  // namespace eddy
