#pragma once
// `eddy-shard inspect DIR` and `eddy-shard sample DIR`. Each takes the arguments after its name, prints its result on
// stdout, throws Error (status 2) for what cannot be used, and returns the exit status.
#include <string>
#include <vector>

int inspect_main(const std::vector<std::string>& arguments);
int sample_main(const std::vector<std::string>& arguments);
