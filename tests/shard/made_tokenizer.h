#pragma once
// A small tokenizer.json for tests: 256 bytes, R1's control tokens, a few merges.
#include <string>
#include <vector>

#include "tokenize/trainer.h"

namespace eddy_test {

inline std::string tokenizer_json(std::size_t vocab_size = 300) {
  eddy::tokenize::BpeTrainer trainer(vocab_size);
  trainer.add("the theorem that the sum of the primes is the sum of the primes, and then the lemma");
  return trainer.finish();
}

}  // namespace eddy_test
