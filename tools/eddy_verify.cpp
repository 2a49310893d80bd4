// eddy-verify: a model's logits, losses and gradients against another implementation's.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/options.h"
#include "comm/session.h"
#include "train/device.h"
#include "train/verify.h"

namespace {
using namespace eddy;

int verify_main(comm::Session& session, int argc, char** argv) {
  train::VerifyOptions o;
  std::string model, golden, recompute = "none", device = "auto", dtype = "float32", backend = "auto";
  bool json = false;
  int threads = 0;
  double timeout = 300;
  Options options("eddy-verify", "--model DIR --golden FILE [options]",
                  "Runs forward and backward in any parallel layout and compares logits, losses and every gradient "
                  "with a golden file.");
  options.add("model", &model, "Hugging Face folder or Eddy checkpoint", {.required = true});
  options.add("golden", &golden, "safetensors with input_ids, logits, loss, grad.NAME (docs/golden.md)",
              {.required = true});
  options.add("tolerance-logits", &o.tolerance_logits, "largest relative error of logits and losses", {.min = 0});
  options.add("tolerance-grad", &o.tolerance_grad, "largest relative error of a gradient", {.min = 0});
  options.add("parallel.tp", &o.layout.tp, "tensor parallelism, ranks", {.min = 1});
  options.add("parallel.ep", &o.layout.ep, "expert parallelism, ranks", {.min = 1});
  options.add("parallel.pp", &o.layout.pp, "pipeline stages", {.min = 1});
  options.add("parallel.cp", &o.layout.cp, "context parallelism, ranks", {.min = 1});
  options.add("parallel.expert_capacity", &o.expert_capacity,
              "rows that a rank's experts take at once, over those of balanced routing; more come in further waves",
              {.min = 0.01});
  options.add("train.recompute", &recompute, "what the backward pass computes again",
              {.choices = {"none", "selective", "full"}});
  options.add("train.dtype", &dtype, "of parameters and activations: float32, or bf16 (on a GPU)",
              {.choices = {"float32", "bf16"}});
  options.add("replay-routing", &o.replay_routing,
              "with bf16: experts are those that a float32 pass chose, which near ties would change");
  options.add("run.device", &device, "where to run", {.choices = {"auto", "cpu", "cuda"}});
  options.add("run.deterministic", &o.deterministic, "the same bits each time, on GPUs too");
  options.add("comm.backend", &backend, "what carries a GPU's data to other ranks: auto, nccl, mpi",
              {.choices = {"auto", "nccl", "mpi"}});
  options.add("run.threads", &threads, "threads a rank; 0: cores / ranks on the host", {.min = 0});
  options.add("comm.timeout_s", &timeout, "seconds after which a message that did not arrive ends the job; 0: never",
              {.min = 0});
  options.add("json", &json, "print the comparisons as JSON", {.command_line_only = true});
  if (!options.parse(argc, argv)) return 0;
  session.set_timeout(timeout);
  session.set_threads(threads);
  o.model = model;
  o.golden = golden;
  o.layout.world = session.size();
  o.recompute = model::parse_recompute(recompute);
  o.backend = comm::parse_backend(backend);
  train::Device place = train::choose_device(session, device);
  o.dtype = train::choose_dtype(place, dtype);
  train::open(place);
  o.stream = place.stream;

  train::RoutingChange change;
  const auto results = train::verify(session.world(), o, &change);
  bool holds = true;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& r : results) {
    holds = holds && r.holds();
    list.push_back({{"name", r.name},
                    {"error", r.error},
                    {"largest", r.largest},
                    {"tolerance", r.tolerance},
                    {"holds", r.holds()}});
  }
  if (session.rank() == 0) {
    if (json) {
      nlohmann::ordered_json all{{"layout", o.layout.text()}, {"holds", holds}, {"comparisons", list}};
      if (o.dtype != Dtype::f32) all["routing"] = {{"choices", change.choices}, {"changed", change.changed}};
      fmt::print("{}\n", all.dump(1));
    } else {
      fmt::print("{:>10} {:>10}  {}\n", "error", "largest", "quantity");
      for (const auto& r : results)
        fmt::print("{:10.3e} {:10.3e}  {}{}\n", r.error, r.largest, r.name, r.holds() ? "" : "   OVER TOLERANCE");
      if (o.dtype != Dtype::f32)
        fmt::print("{} of {} expert choices differ from the float32 pass's{}\n", change.changed, change.choices,
                   o.replay_routing ? "; those were replayed" : "");
      fmt::print("{}: {} of {} comparisons hold\n", o.layout.text(),
                 std::count_if(results.begin(), results.end(), [](const auto& r) { return r.holds(); }),
                 results.size());
    }
  }
  return holds ? 0 : 1;
}
}  // namespace

int main(int argc, char** argv) {
  return eddy::comm::run_mpi_main("eddy-verify", argc, argv,
                                  [&](eddy::comm::Session& s) { return verify_main(s, argc, argv); });
}
