#include "pipeline/runner.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "model/weight_gradients.h"

namespace eddy::pipeline {
using model::LossSums;
using model::MicroBatch;
using tensor::Tensor;
using tensor::View;

namespace {

/// Sends under way, each with the tensor it reads. Keeps at most `limit`: what lies further back was received long ago.
class Outbox {
 public:
  Outbox(std::size_t limit, const device::Stream& stream) : limit_(limit), stream_(stream) {}
  void send(comm::Communicator& to, Tensor t, int peer, int tag) {
    const View v = t;
    auto request = to.isend(v.data, static_cast<std::size_t>(v.numel()), v.dtype, peer, tag, stream_);
    pending_.push_back({std::move(t), std::move(request)});
    while (pending_.size() > limit_) finish_oldest();
  }
  void finish() {
    while (!pending_.empty()) finish_oldest();
  }

 private:
  void finish_oldest() {
    pending_.front().request->wait();
    pending_.pop_front();
  }
  struct Entry {
    Tensor tensor;  // outlives the request
    std::unique_ptr<comm::Request> request;
  };
  std::size_t limit_;
  const device::Stream& stream_;
  std::deque<Entry> pending_;
};

int forward_tag(int micro_batch) {
  return 2 * micro_batch;
}
int backward_tag(int micro_batch) {
  return 2 * micro_batch + 1;
}

}  // namespace

Runner::Runner(model::Stage& stage, const parallel::Groups& groups, const device::Stream& stream, Dtype dtype)
    : stage_(stage), groups_(groups), stream_(stream), dtype_(dtype) {}

Tensor Runner::receive(std::int64_t tokens, int from_stage, int tag) {
  Tensor t({tokens / groups_.layout.tp, stage_.hidden_size()}, dtype_, stream_);
  groups_.pp->recv(t.view().data, static_cast<std::size_t>(t.view().numel()), dtype_, from_stage, tag, stream_);
  return t;
}

/// The last stage's sums, on every stage.
LossSums Runner::shared_losses() {
  const LossSums sums = stage_.take_losses();
  const int last = groups_.layout.pp - 1;
  double losses[2] = {sums.main, sums.mtp};
  std::int64_t counts[2] = {sums.main_count, sums.mtp_count};
  groups_.pp->broadcast(losses, 2, Dtype::f64, last);
  groups_.pp->broadcast(counts, 2, Dtype::i64, last);
  return {losses[0], losses[1], counts[0], counts[1]};
}

LossSums Runner::train(std::span<const MicroBatch> batches, const model::LossScale& scale, const GradientsDone& done) {
  const int stage = groups_.at.pp, stages = groups_.layout.pp;
  const Schedule schedule = one_f_one_b(stages, static_cast<int>(batches.size()));
  std::vector<std::unique_ptr<model::Saved>> saved(batches.size());
  std::vector<model::WeightGradients> later(batches.size());
  Outbox outbox(static_cast<std::size_t>(2 * stages), stream_);
  peak_saved_bytes_ = 0;
  std::size_t held = 0;
  std::vector<std::size_t> held_by(batches.size(), 0);
  const auto actions = schedule.actions(stage);
  for (const Action& a : actions) {
    const auto i = static_cast<std::size_t>(a.micro_batch);
    const MicroBatch& batch = batches[i];
    switch (a.kind) {
      case ActionKind::forward: {
        Tensor input = stage_.first() ? Tensor() : receive(batch.tokens, stage - 1, forward_tag(a.micro_batch));
        auto out = stage_.forward(batch, std::move(input), model::Pass::train, scale);
        saved[i] = std::move(out.saved);
        held_by[i] = saved[i]->bytes();
        held += held_by[i];
        peak_saved_bytes_ = std::max(peak_saved_bytes_, held);
        if (!stage_.last()) outbox.send(*groups_.pp, std::move(out.hidden), stage + 1, forward_tag(a.micro_batch));
        break;
      }
      case ActionKind::backward:
      case ActionKind::backward_input: {
        Tensor d = stage_.last() ? Tensor() : receive(batch.tokens, stage + 1, backward_tag(a.micro_batch));
        const bool defer = a.kind == ActionKind::backward_input;
        if (&a == &actions.back()) stage_.on_gradients = done;
        Tensor d_input = stage_.backward(batch, std::move(saved[i]), std::move(d), defer ? &later[i] : nullptr);
        stage_.on_gradients = {};
        held -= held_by[i];
        if (!stage_.first()) outbox.send(*groups_.pp, std::move(d_input), stage - 1, backward_tag(a.micro_batch));
        break;
      }
      case ActionKind::backward_weight:
        later[i].run();
        break;
    }
  }
  outbox.finish();
  return shared_losses();
}

LossSums Runner::evaluate(std::span<const MicroBatch> batches) {
  const int stage = groups_.at.pp;
  Outbox outbox(2, stream_);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const int tag = forward_tag(static_cast<int>(i));
    Tensor input = stage_.first() ? Tensor() : receive(batches[i].tokens, stage - 1, tag);
    auto out = stage_.forward(batches[i], std::move(input), model::Pass::evaluate, {});
    if (!stage_.last()) outbox.send(*groups_.pp, std::move(out.hidden), stage + 1, tag);
  }
  outbox.finish();
  return shared_losses();
}

}  // namespace eddy::pipeline
