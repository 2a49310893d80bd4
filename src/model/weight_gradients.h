#pragma once
// Weight gradients that may wait: a pipeline schedule fills its bubbles with them.
#include <memory>
#include <utility>
#include <vector>

namespace eddy::model {

class WeightGradients {
 public:
  /// Keeps a callable (with the tensors it owns) for run().
  template <class F>
  void add(F work) {
    tasks_.push_back(std::make_unique<Task<F>>(std::move(work)));
  }
  /// Does what was kept, in order, and frees it.
  void run() {
    for (auto& t : tasks_) {
      t->run();
      t.reset();
    }
    tasks_.clear();
  }

 private:
  struct TaskBase {
    virtual ~TaskBase() = default;
    virtual void run() = 0;
  };
  template <class F>
  struct Task final : TaskBase {
    explicit Task(F f) : work(std::move(f)) {}
    void run() override { work(); }
    F work;
  };
  std::vector<std::unique_ptr<TaskBase>> tasks_;
};

/// Now, or later when `deferred` is given.
template <class F>
void weight_gradient(WeightGradients* deferred, F work) {
  if (deferred)
    deferred->add(std::move(work));
  else
    work();
}

}  // namespace eddy::model
