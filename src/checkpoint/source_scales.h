#pragma once
// The FP8 scales that a model's matrices have, or had before they were made BF16 or float32: kept beside what training
// makes of it, so that an export in FP8 gives unchanged blocks their bytes (docs/conversion.md).
#include <filesystem>
#include <optional>
#include <string>

#include "hf/scales.h"

namespace eddy::checkpoint {

/// Group of a checkpoint: scales of matrices stored in another dtype, named and stacked as their matrices' are.
inline const std::string kKeptScales = "fp8_scales/";

/// By Hugging Face's names, of a Hugging Face folder or an Eddy checkpoint, whether they lie beside FP8 matrices, in
/// the group fp8_scales, or in an eddy.fp8-scales; nothing where there are none. Throws Error (status 2) naming file
/// and tensor for damaged ones.
std::optional<hf::KeptScales> scales_of(const std::filesystem::path& model);

}  // namespace eddy::checkpoint
