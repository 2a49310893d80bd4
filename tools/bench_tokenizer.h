#pragma once
#include <string>
#include <vector>

/// `eddy-bench tokenizer --tokenizer FILE --text FILE [--json]`: encoding speed on one thread. MB are 10⁶ bytes; each
/// time is the best of --passes. cold: the cache of pre-tokens is empty at the start; warm: it has seen the text. Then
/// the seconds that runs of one letter, space, digit take, 1 MiB and 2 MiB long. Returns the exit status.
int bench_tokenizer(const std::vector<std::string>& arguments);
