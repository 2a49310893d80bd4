#include "tokenize/regex.h"

#include <array>

#include "base/error.h"
#include "tokenize/pcre2_handle.h"

namespace eddy::tokenize {

struct MatchScratch::Impl {
  MatchDataHandle data{pcre2_match_data_create(1, nullptr)};
  MatchContextHandle context{pcre2_match_context_create(nullptr)};
  JitStackHandle stack{pcre2_jit_stack_create(64 << 10, 64 << 20, nullptr)};
  Impl() {
    if (!data || !context || !stack) throw std::bad_alloc();
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};
MatchScratch::MatchScratch() : impl_(std::make_unique<Impl>()) {}
MatchScratch::~MatchScratch() = default;
MatchScratch::MatchScratch(MatchScratch&&) noexcept = default;
MatchScratch& MatchScratch::operator=(MatchScratch&&) noexcept = default;

struct Regex::Impl {
  std::string source;
  CodeHandle code;
};

Regex::Regex(std::string_view oniguruma_pattern) {
  const std::string translated = translate_oniguruma(oniguruma_pattern);
  impl_ = std::make_unique<Impl>(Impl{std::string(oniguruma_pattern), compile_pcre2(translated, oniguruma_pattern)});
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::optional<Match> Regex::find(std::string_view subject, std::size_t from, MatchScratch& scratch) const {
  auto* data = scratch.impl_->data.get();
  const int rc = pcre2_match(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from,
                             PCRE2_NO_UTF_CHECK, data, scratch.impl_->context.get());
  if (rc == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (rc < 0) fail_run("the pre-tokenizer's pattern '{}' failed: {}", abridged(impl_->source), pcre2_message(rc));
  const PCRE2_SIZE* at = pcre2_get_ovector_pointer(data);
  return Match{at[0], at[1]};
}

}  // namespace eddy::tokenize
