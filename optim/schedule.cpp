#include "optim/schedule.h"

#include <cmath>
#include <numbers>

namespace tapestry {
namespace {

/// How far `step` is from `begin` to `end`, between 0 and 1.
double progress(int64_t step, int64_t begin, int64_t end) {
  if (step >= end) return 1;
  if (step <= begin) return 0;
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

}  // namespace

double Schedule::learning_rate(int64_t step) const {
  if (step < warmup_steps)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps + 1);
  const auto fall = [&](double share) { return peak + (floor - peak) * share; };
  switch (shape) {
    case Shape::linear:
      return fall(progress(step, warmup_steps, max_steps));
    case Shape::cosine:
      return fall((1 - std::cos(std::numbers::pi * progress(step, warmup_steps, max_steps))) / 2);
    case Shape::wsd:
      return fall(progress(step, max_steps - decay_steps, max_steps));
    default:
      return peak;
  }
}

}  // namespace tapestry
