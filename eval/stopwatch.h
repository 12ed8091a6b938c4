#pragma once

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "base/resources.h"
#include "eval/bench.h"

namespace tapestry {

/// Times work again and again.
class Stopwatch {
 public:
  template <class Work>
  void time(const Work& work) {
    const double start = steady_seconds(), processor_start = processor_seconds();
    work();
    seconds_.push_back(steady_seconds() - start);
    processor_.push_back(processor_seconds() - processor_start);
  }
  Timing timing() const {
    return {median(seconds_), *std::min_element(seconds_.begin(), seconds_.end()), median(processor_)};
  }

 private:
  std::vector<double> seconds_, processor_;
};

}  // namespace tapestry
