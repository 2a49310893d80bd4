#pragma once
// What is silently wrong with a model or a checkpoint, found from its content (docs/conversion.md lists the audits).
#include <set>
#include <string>
#include <vector>

#include "convert_contents.h"
#include "convert_statistics.h"
#include "hf/config.h"
#include "hf/names.h"

namespace eddy::convert {

struct Audited {
  std::vector<std::string> findings;  ///< each names its tensor, file or expert
  std::vector<std::string> notes;     ///< worth knowing, no fault
};

/// The model by Hugging Face's names.
struct AuditedModel {
  const Contents& contents;
  hf::ModelConfig config;
  bool has_mtp = false;
  std::vector<hf::NamedShape> expected;  ///< what the configuration asks for
};
AuditedModel audited_model(const Contents& contents);

/// Every tensor there with its shape and a weight's dtype, FP8 ones with their scales, MTP where it is announced.
void audit_names(const AuditedModel& model, Audited& out);
/// From the statistics: NaN, constants, zeros, equal tensors, router biases, initial values, scales that do not fit.
void audit_values(const AuditedModel& model, const std::map<std::string, Statistics>& statistics, Audited& out);
/// Every tensor beside the one of the same name in a reference: a fine-tuned one stays near it.
void audit_against(const AuditedModel& model, const Contents& reference, int threads, Audited& out);
/// A checkpoint's optimizer moments: there, of the parameter's shape, of one another, and of this step. The tensors
/// that it read whole.
std::set<std::string> audit_moments(const Contents& checkpoint, int threads, Audited& out);
/// A folder's files beside the hashes taken when they were written (eddy-files.json), and weight files that are no part
/// of the model.
void audit_files(const hf::Folder& folder, int threads, Audited& out);

}  // namespace eddy::convert
