#pragma once
// A model's tensors by Hugging Face's names in the dtype asked for: FP8 with its scales, BF16, F32.
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "convert_contents.h"
#include "hf/safetensors_writer.h"

namespace eddy::convert {

class Recast {
 public:
  /// `asked` nothing: every tensor as it is stored. f8e4m3: the matrices that DeepSeek quantises become FP8, the rest
  /// BF16. e_score_correction_bias is F32 always. `power_of_two`: new scales are (scale_fmt ue8m0).
  Recast(const Contents& in, std::optional<Dtype> asked, bool power_of_two = false)
      : in_(in), asked_(asked), power_of_two_(power_of_two) {}

  /// The dtype that a tensor of the input gets.
  Dtype dtype_of(const std::string& name) const;
  /// What a tensor of the input becomes: itself in its dtype, and for FP8 its scales; nothing for the scales of the
  /// input's FP8 matrices (they come with these).
  std::vector<hf::Declared> become(const std::string& name) const;
  /// Rows of one of those (hf::MakeRows). Throws Error (status 2) naming the tensor for NaN or infinity that FP8 cannot
  /// hold, and for a block whose scale is 0 although its bytes are not.
  void rows(const hf::Declared& tensor, std::int64_t first, std::int64_t rows, std::byte* out);
  /// The scales that a matrix has, or had when it was FP8; nothing where there are none.
  std::optional<std::vector<float>> scales_to_keep(const std::string& matrix) const;
  bool has_scales_to_keep(const std::string& matrix) const;

 private:
  struct Made {
    std::vector<float> scales;
    std::int64_t rows = 0;  ///< of the matrix, done so far
  };
  void dequantised(const hf::Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) const;
  void quantised(const std::string& name, std::int64_t first, std::int64_t rows, std::uint8_t* out);
  void scale_rows(const std::string& matrix, std::int64_t first, std::int64_t rows, std::byte* out);

  const Contents& in_;
  std::optional<Dtype> asked_;
  bool power_of_two_;
  std::mutex mutex_;
  std::map<std::string, Made> made_;  // scales of matrices quantised, until they are written
};

}  // namespace eddy::convert
