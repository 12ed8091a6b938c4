#include "optim/optim_options.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "optim/adamw.h"
#include "optim/parameter_groups.h"
#include "optim/sgd.h"

namespace tapestry {
namespace {

/// The schedule before it is checked.
Schedule schedule_of(const OptimOptions& options, int64_t max_steps) {
  static const std::map<std::string, Schedule::Shape> shapes = {{"constant", Schedule::Shape::constant},
                                                                {"linear", Schedule::Shape::linear},
                                                                {"cosine", Schedule::Shape::cosine},
                                                                {"wsd", Schedule::Shape::wsd}};
  const int64_t longest_default_warmup = 100;
  Schedule schedule;
  schedule.shape = shapes.at(options.schedule);
  schedule.peak = options.learning_rate;
  schedule.floor = options.min_lr;
  schedule.max_steps = max_steps;
  schedule.warmup_steps =
      options.warmup_steps >= 0 ? options.warmup_steps : std::min(longest_default_warmup, max_steps / 10);
  if (schedule.shape == Schedule::Shape::wsd) {
    schedule.decay_steps = std::llround(options.decay_fraction * static_cast<double>(max_steps));
  }
  return schedule;
}

}  // namespace

const OptionTable<OptimOptions>& optim_options() {
  using O = OptimOptions;
  static const auto table =
      OptionTable<O>("optim", "How parameters follow their gradients")
          .add("optimizer", &O::optimizer, "how gradients change parameters", one_of({"adamw", "sgd"}))
          .add("learning_rate", &O::learning_rate, "at the peak of the schedule", above(0))
          .add("min_lr", &O::min_lr, "where the schedule ends", at_least(0))
          .add("beta1", &O::beta1, "adamw: memory of the mean gradient", half_open(0, 1))
          .add("beta2", &O::beta2, "adamw: memory of its square", half_open(0, 1))
          .add("eps", &O::eps, "adamw: keeps the division finite", above(0))
          .add("weight_decay", &O::weight_decay, "adamw: decoupled; sgd: joins the gradient", at_least(0))
          .add("decay_vectors", &O::decay_vectors, "decay biases and gains too, not only matrices")
          .add("momentum", &O::momentum, "sgd: memory of the gradient", half_open(0, 1))
          .add("dampening", &O::dampening, "sgd: share of a gradient kept out of the memory", between(0, 1))
          .add("nesterov", &O::nesterov, "sgd: look ahead by the momentum")
          .add("grad_clip", &O::grad_clip, "largest norm of all gradients together; 0 is off", at_least(0))
          .add("schedule", &O::schedule, "the learning rate after the warmup",
               one_of({"constant", "linear", "cosine", "wsd"}))
          .add("warmup_steps", &O::warmup_steps,
               "updates up to the peak; -1 is a tenth of max_steps, at most 100", at_least(-1))
          .add("decay_fraction", &O::decay_fraction, "wsd: share of max_steps over which the rate falls",
               between(0, 1))
          .add("freeze", &O::freeze,
               "parameters that stay as they are, by patterns of their names as `inspect` shows them: "
               "embedding.*,*.mlp.*")
          .add("rates", &O::rates,
               "factors of the learning rate by such patterns, the last that matches counts: "
               "*.attention.r.*:10,*.gate:10");
  return table;
}

void check_optim(const OptimOptions& options, int64_t max_steps, Violations& violations) {
  const Schedule schedule = schedule_of(options, max_steps);
  violations.require(options.min_lr <= options.learning_rate, "optim.min_lr ", options.min_lr,
                     " is above optim.learning_rate ", options.learning_rate);
  violations.require(schedule.warmup_steps < max_steps, "optim.warmup_steps ", schedule.warmup_steps,
                     " must be less than the ", max_steps, " steps of the run");
  violations.require(schedule.decay_steps == 0 || schedule.warmup_steps + schedule.decay_steps <= max_steps,
                     "optim.warmup_steps ", schedule.warmup_steps, " and the ", schedule.decay_steps,
                     " steps of optim.decay_fraction ", options.decay_fraction, " do not fit the ", max_steps,
                     " steps of the run");
  violations.require(
      options.optimizer != "sgd" || !options.nesterov || (options.momentum > 0 && options.dampening == 0),
      "optim.nesterov needs optim.momentum above 0 and optim.dampening 0");
}

Schedule make_schedule(const OptimOptions& options, int64_t max_steps) {
  Violations violations;
  check_optim(options, max_steps, violations);
  violations.throw_if_any();
  return schedule_of(options, max_steps);
}

namespace {

std::unique_ptr<Optimizer> optimizer_of(const OptimOptions& options, std::vector<NamedParameter> parameters) {
  if (options.optimizer == "adamw") {
    const AdamWOptions adamw{options.beta1, options.beta2, options.eps, options.weight_decay,
                             options.decay_vectors};
    return std::make_unique<AdamW>(std::move(parameters), adamw);
  }
  require(options.optimizer == "sgd", "there is no optimizer '", options.optimizer, "'");
  const SgdOptions sgd{options.momentum, options.dampening, options.nesterov, options.weight_decay,
                       options.decay_vectors};
  return std::make_unique<Sgd>(std::move(parameters), sgd);
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimOptions& options,
                                          std::vector<NamedParameter> parameters) {
  auto optimizer = optimizer_of(options, trainable_parameters(parameters, options.freeze));
  optimizer->set_rates(rate_factors(optimizer->parameters(), options.rates));
  return optimizer;
}

}  // namespace tapestry
