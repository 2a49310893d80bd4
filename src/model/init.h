#pragma once
#include "hf/config.h"
#include "parallel/parameter_store.h"

namespace eddy::model {

/// Random weights as transformers starts them: matrices normal(0, initializer_range), norms 1, router bias 0. An
/// element's value depends only on (seed, parameter's name, its global index), so every layout starts with the same
/// model.
void initialise(const hf::ModelConfig& config, const parallel::ParameterStore& store, std::uint64_t seed);
/// The same for one parameter (an MTP layer that the weights lack).
void initialise(const hf::ModelConfig& config, const parallel::Parameter& parameter, std::uint64_t seed);

}  // namespace eddy::model
