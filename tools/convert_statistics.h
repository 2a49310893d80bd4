#pragma once
// What a tensor's values look like, FP8 with its scales applied.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "convert_contents.h"

namespace eddy::convert {

struct Statistics {
  std::int64_t count = 0, zeros = 0, nans = 0, infinities = 0;
  double mean = 0, std = 0, norm = 0;  ///< of the finite values; the norm is sqrt(sum of squares)
  double kurtosis = 0;                 ///< fourth central moment / variance²: 3 for Gaussian values
  double min = 0, max = 0;
  std::uint64_t hash = 0;  ///< XXH3-64 of the stored bytes, FP8 scales included

  // of FP8 matrices
  std::int64_t blocks = 0;
  std::int64_t loose_blocks = 0;  ///< whose largest |q| is below half of 448: no quantiser leaves that
  double least_scale = 0, median_scale = 0, largest_scale = 0;

  bool constant() const { return count > 0 && nans == 0 && infinities == 0 && min == max; }
};

/// Reads the tensor once, in pieces. Integers count as numbers.
Statistics statistics_of(const Contents& contents, const std::string& name);

/// Of these tensors, by `threads` threads; `progress` is told the bytes read so far.
std::map<std::string, Statistics> all_statistics(const Contents& contents, const std::vector<std::string>& names,
                                                 int threads, const std::function<void(std::uint64_t)>& progress);

/// Rows [first, first + rows) as float32, FP8 with its scales applied.
void read_as_f32(const Contents& contents, const std::string& name, std::int64_t first, std::int64_t rows,
                 std::vector<float>& out);

/// Calls work(i) for i in [0, count) from `threads` threads; the first exception is thrown when all have ended.
void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace eddy::convert
