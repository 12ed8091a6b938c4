#pragma once

#include <cstdint>

namespace tapestry {

/// The learning rate of each update as a pure function of its number, so that a resumed run needs no state.
///
/// Updates are numbered from 0. Update i of the warmup (i < warmup_steps) has peak * (i + 1) / (warmup_steps
/// + 1), as in nanoGPT: it never wastes an update at 0, and update `warmup_steps` is the first at the peak.
/// From there to `max_steps` the rate falls to `floor` (cosine: Loshchilov and Hutter 2017), which it reaches
/// at update number max_steps, one after the last; from there on it stays.
struct Schedule {
  enum class Shape {
    constant,  // the peak, whatever the floor
    linear,
    cosine,
    wsd  // warmup, stable, decay (Hu et al. 2024): the peak, then linear over the last `decay_steps`
  };

  Shape shape = Shape::cosine;
  double peak = 0;
  double floor = 0;
  int64_t warmup_steps = 0;
  int64_t max_steps = 1;
  int64_t decay_steps = 0;  // of wsd

  double learning_rate(int64_t step) const;
};

}  // namespace tapestry
