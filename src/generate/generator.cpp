#include "generate/generator.h"

#include <algorithm>

#include "base/error.h"

namespace eddy::generate {
using tensor::Tensor;
using tensor::View;

namespace {
constexpr std::size_t kPrefillChunk = 256;  // tokens of a prompt run at once: bounds the [n, prefix] score matrix
}

Generator::Generator(comm::Communicator& world, const checkpoint::ModelSource& source, const parallel::Layout& layout,
                     std::int64_t max_tokens)
    : config_((parallel::validate(layout, model::divisors(source.config())), source.config())),
      groups_(parallel::make_groups(world, layout)),
      plan_(model::plan_stages(config_, layout.pp, false, max_tokens)),
      store_(model::stage_parameters(config_, layout, world.rank(), plan_), false),
      stage_(config_, groups_, plan_, store_, max_tokens),
      max_tokens_(max_tokens) {
  if (max_tokens > config_.max_position_embeddings)
    fail_input("prompt and answer take {} tokens, the model has {} positions", max_tokens,
               config_.max_position_embeddings);
  source.fill(store_);
}

/// Runs tokens through all stages and chooses the next one, the same on every rank.
std::int32_t Generator::advance(std::span<const std::int32_t> tokens, const Sampling& sampling) {
  const int stage = groups_.at.pp, last = groups_.layout.pp - 1;
  comm::Communicator& pp = *groups_.pp;
  const auto n = static_cast<std::int64_t>(tokens.size());
  const View ids(const_cast<std::int32_t*>(tokens.data()), Dtype::i32, {n});  // NOLINT: a View of what is only read
  Tensor input;
  if (stage > 0) {
    input = Tensor({n, config_.hidden_size});
    pp.recv(input.view().data, static_cast<std::size_t>(input.view().numel()), Dtype::f32, stage - 1, 0);
  }
  const Tensor out = stage_.forward(ids, std::move(input));
  std::int32_t token = 0;
  if (stage < last)
    pp.isend(out.view().data, static_cast<std::size_t>(out.view().numel()), Dtype::f32, stage + 1, 0)->wait();
  else
    token = next_token({out.f32(), static_cast<std::size_t>(config_.vocab_size)}, sampling,
                       static_cast<std::uint64_t>(stage_.length()));
  // The last world rank is on the last stage; its choice is everyone's.
  groups_.world->broadcast(&token, 1, Dtype::i32, groups_.world->size() - 1);
  return token;
}

std::vector<std::int32_t> Generator::generate(std::span<const std::int32_t> prompt, std::int64_t max_new,
                                              const Sampling& sampling, std::int32_t stop,
                                              const std::function<void(std::int32_t)>& on_token) {
  if (prompt.empty()) fail_input("the prompt is empty");
  for (const auto id : prompt)
    if (id < 0 || id >= config_.vocab_size)
      fail_input("the prompt holds token id {}, the model's vocabulary has {} entries", id, config_.vocab_size);
  if (static_cast<std::int64_t>(prompt.size()) + max_new > max_tokens_)
    fail_input("prompt ({} tokens) and answer (up to {}) do not fit {} positions; give a smaller --max-tokens",
               prompt.size(), max_new, max_tokens_);
  stage_.clear();
  std::vector<std::int32_t> out;
  if (max_new < 1) return out;
  std::int32_t token = 0;
  for (std::size_t at = 0; at < prompt.size(); at += kPrefillChunk)
    token = advance(prompt.subspan(at, std::min(kPrefillChunk, prompt.size() - at)), sampling);
  while (true) {
    out.push_back(token);
    if (on_token) on_token(token);
    if (token == stop || static_cast<std::int64_t>(out.size()) == max_new) return out;
    token = advance(std::span(&token, 1), sampling);
  }
}

}  // namespace eddy::generate
