#include "eval/bench.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "autograd/memory.h"
#include "autograd/pool.h"
#include "autograd/random.h"
#include "autograd/tape.h"
#include "base/resources.h"
#include "eval/gemm_floor.h"
#include "eval/stopwatch.h"
#include "optim/clip.h"

namespace tapestry {
namespace {

Tensor random_tokens(const StepShape& shape, int64_t vocab, uint64_t key) {
  std::vector<int32_t> tokens(shape.tokens());
  for (int64_t i = 0; i < shape.tokens(); ++i) {
    tokens[i] = static_cast<int32_t>(random_bits(key, i) % static_cast<uint64_t>(vocab));
  }
  return Tensor::from(tokens, {shape.batch_size, shape.seq_len});
}

/// A model with what a run of it needs.
class Subject {
 public:
  Subject(const ModelOptions& options, const Config& config, const StepShape& shape, const BenchPlan& plan)
      : model_(options, config, {.device = plan.device, .seed = plan.seed}),
        training_(shape.training),
        grad_clip_(plan.optim.grad_clip),
        learning_rate_(plan.optim.learning_rate),
        seed_(plan.seed),
        tokens_(random_tokens(shape, options.vocab_size, combine_keys(plan.seed, 0))),
        targets_(random_tokens(shape, options.vocab_size, combine_keys(plan.seed, 1))) {
    model_.set_recompute(plan.recompute);
    if (training_) optimizer_ = make_optimizer(plan.optim, model_.parameters());
  }

  /// Returns the bytes that the tape saved.
  int64_t run() {
    if (!training_) {
      model_.loss(tokens_, targets_);
      synchronize(model_.context().device);
      return 0;
    }
    int64_t saved = 0;
    {
      Tape tape(combine_keys(seed_, optimizer_->steps()));
      const Tensor loss = model_.loss(tokens_, targets_);
      saved = tape.saved_bytes();
      tape.backward(loss);
    }
    optimizer_->step(learning_rate_, Clipping(optimizer_->parameters(), grad_clip_).scale());
    optimizer_->zero_grad();
    synchronize(model_.context().device);
    return saved;
  }

  const LanguageModel& model() const { return model_; }

 private:
  LanguageModel model_;
  std::unique_ptr<Optimizer> optimizer_;
  bool training_;
  double grad_clip_, learning_rate_;
  uint64_t seed_;
  Tensor tokens_, targets_;
};

void measure_memory(Subject& subject, BenchFigures& figures) {
  const Device device = subject.model().context().device;
  pool_reset_peak(device);
  figures.saved_bytes = subject.run();
  const PoolStats stats = pool_stats(device);
  figures.peak_bytes = stats.peak;
  figures.run_bytes = stats.peak - stats.in_use;
  figures.peak_resident_bytes = peak_memory_bytes();
}

void measure_time(Subject& subject, GemmFloor& floor, const BenchPlan& plan, BenchFigures& figures) {
  Stopwatch run, products;
  std::vector<double> faults;
  floor.run();
  for (int64_t i = 0; i < plan.repeats; ++i) {
    const int64_t faults_before = page_faults();
    run.time([&] { subject.run(); });
    faults.push_back(static_cast<double>(page_faults() - faults_before));
    products.time([&] { floor.run(); });
    if (plan.after_run) plan.after_run();
  }
  figures.run = run.timing();
  figures.products = products.timing();
  figures.page_faults = static_cast<int64_t>(median(faults));
}

}  // namespace

double BenchFigures::gemm_share(double Timing::*time) const {
  return (1 + attention_flops / product_flops) * products.*time / run.*time;
}

BenchFigures bench(const ModelOptions& model, const Config& config, const StepShape& shape,
                   const BenchPlan& plan) {
  require(plan.warmup >= 1 && plan.repeats >= 1, "a measurement needs a warm-up and a repeat");
  pool_trim(plan.device);
  reset_peak_memory();
  Subject subject(model, config, shape, plan);
  BenchFigures figures;
  for (int64_t i = 0; i < plan.warmup; ++i) {
    measure_memory(subject, figures);
    if (plan.after_run) plan.after_run();
  }
  GemmFloor floor(linear_products(subject.model(), config, shape), plan.device);
  figures.product_flops = floor.flops();
  figures.attention_flops = attention_flops(model, config, shape);
  measure_time(subject, floor, plan, figures);
  return figures;
}

double median(std::vector<double> values) {
  require(!values.empty(), "there is no median of nothing");
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double fitted_exponent(const std::vector<double>& x, const std::vector<double>& y) {
  require(x.size() == y.size(), "fitted_exponent: ", x.size(), " x against ", y.size(), " y");
  if (std::set<double>(x.begin(), x.end()).size() < 2) return std::numeric_limits<double>::quiet_NaN();
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    mean_x += std::log(x[i]) / x.size();
    mean_y += std::log(y[i]) / x.size();
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x;
    xx += dx * dx;
    xy += dx * (std::log(y[i]) - mean_y);
  }
  return xy / xx;
}

}  // namespace tapestry
