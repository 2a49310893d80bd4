#pragma once
// `eddy-shard train-tokenizer | tokenize | detokenize`. Each takes the arguments after its name, writes its result to
// `out`, throws Error (status 2) for what cannot be used, and returns the exit status.
#include <iostream>
#include <string>
#include <vector>

int train_tokenizer_main(const std::vector<std::string>& arguments);
/// {"text"} a line → a JSON array of token ids a line; a line that is not such an object ends it, named.
int tokenize_main(const std::vector<std::string>& arguments, std::ostream& out = std::cout);
/// A JSON array of token ids a line → {"text"} a line; bytes that are not UTF-8 become U+FFFD.
int detokenize_main(const std::vector<std::string>& arguments, std::ostream& out = std::cout);
