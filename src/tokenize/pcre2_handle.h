#pragma once
// PCRE2's C handles, owned. Only regex.cpp, class_text.cpp and oniguruma.cpp include this.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>
#include <string>
#include <string_view>

namespace eddy::tokenize {

struct Pcre2Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};
using CodeHandle = std::unique_ptr<pcre2_code, Pcre2Free>;
using MatchDataHandle = std::unique_ptr<pcre2_match_data, Pcre2Free>;
using MatchContextHandle = std::unique_ptr<pcre2_match_context, Pcre2Free>;
using CompileContextHandle = std::unique_ptr<pcre2_compile_context, Pcre2Free>;
using JitStackHandle = std::unique_ptr<pcre2_jit_stack, Pcre2Free>;

/// Compiles `pattern` (PCRE2's syntax) for UTF-8, with JIT where PCRE2 has it. `shown` stands, abridged, in the error's
/// text.
CodeHandle compile_pcre2(std::string_view pattern, std::string_view shown);
/// A pattern as an error shows it: its first 500 bytes and its length, where it is longer.
std::string abridged(std::string_view pattern);
/// PCRE2's text for an error code.
std::string pcre2_message(int code);

}  // namespace eddy::tokenize
