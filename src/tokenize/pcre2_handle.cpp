#include "tokenize/pcre2_handle.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"

namespace eddy::tokenize {

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

std::string abridged(std::string_view pattern) {
  constexpr std::size_t kShown = 500;
  if (pattern.size() <= kShown) return std::string(pattern);
  std::size_t end = kShown;
  while (end > 0 && (pattern[end] & 0xC0) == 0x80) --end;
  return fmt::format("{}… ({} bytes)", pattern.substr(0, end), pattern.size());
}

CodeHandle compile_pcre2(std::string_view pattern, std::string_view shown) {
  CompileContextHandle context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);  // oniguruma's; PCRE2's default is chosen when it is built
  int error = 0;
  PCRE2_SIZE at = 0;
  CodeHandle code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                                &error, &at, context.get()));
  if (!code) fail_input("the regular expression '{}' cannot be used: {}", abridged(shown), pcre2_message(error));
  // Without JIT (an architecture that PCRE2 does not know) the interpreter matches the same, slower.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

}  // namespace eddy::tokenize
