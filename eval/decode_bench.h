#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "eval/bench.h"

namespace tapestry {

/// What the next token of `batch_size` texts costs at one position.
struct DecodeFigures {
  Timing token;             // one step of all texts
  double read_seconds = 0;  // of a text's tokens since the position before, in parallel
  int64_t state_bytes = 0;  // of one text: what is kept
  int64_t held_bytes = 0;   // and the memory that holds it
};

/// Random tokens, to each position in turn, and plan.repeats single steps from there, after plan.warmup up to
/// it.
std::vector<DecodeFigures> bench_decode(const ModelOptions& model, const Config& config,
                                        std::span<const int64_t> positions, int64_t batch_size,
                                        const BenchPlan& plan);

}  // namespace tapestry
