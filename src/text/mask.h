#pragma once
// Text for measuring, and text for training with addresses taken out.
#include <cstdint>
#include <string>
#include <string_view>

namespace eddy::text {

/// The text without mathematics, each piece replaced by one blank: $…$ (within a paragraph), $$…$$, \(…\), \[…\], and
/// the environments of displays. Rules on words would else reject what is full of formulas.
std::string without_mathematics(std::string_view text);

/// Puts "[email]" in place of each e-mail address (and of "{one,two}@host" with its braces) and returns
/// how many there were.
std::uint64_t mask_emails(std::string& text);

}  // namespace eddy::text
