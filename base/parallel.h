#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <vector>

namespace tapestry {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Elements that are worth a piece of `parallel_for`, where each takes a few operations.
constexpr int64_t kElementGrain = 1 << 14;

/// What the threads of a loop throw, which must not leave an OpenMP region: the first of it is kept.
class LoopError {
 public:
  template <class Work>
  void guard(const Work& work) noexcept {
    if (thrown_) return;
    try {
      work();
    } catch (...) {
      if (!thrown_.exchange(true)) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::atomic<bool> thrown_{false};
  std::exception_ptr error_;
};

/// Calls `work(begin, end)` for pieces of [0, n) of `grain` items; which thread runs a piece is left open.
/// Pieces must not write to the same place. Throws what one of them throws; others may be left out then.
template <class Work>
void parallel_for(int64_t n, int64_t grain, const Work& work) {
  const int64_t pieces = ceil_div(n, grain);
  if (pieces <= 1 || omp_in_parallel()) {
    if (n > 0) work(int64_t{0}, n);
    return;
  }
  LoopError error;
#pragma omp parallel for schedule(static)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    error.guard([&] { work(piece * grain, std::min(n, (piece + 1) * grain)); });
  }
  error.rethrow();
}

/// Calls `job(i)` for i in [0, count), the next free thread taking the next job: for jobs of unequal length.
/// Throws as parallel_for does.
template <class Job>
void parallel_jobs(int64_t count, const Job& job) {
  if (count <= 1 || omp_in_parallel()) {
    for (int64_t i = 0; i < count; ++i) job(i);
    return;
  }
  LoopError error;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t i = 0; i < count; ++i) error.guard([&] { job(i); });
  error.rethrow();
}

/// `width` sums over [0, n) at once: `part(begin, end, sums)` adds a piece of `grain` items to sums of its
/// own, and those are added up in order, whatever the number of threads.
template <class Part>
std::vector<double> parallel_sums(int64_t n, int64_t grain, int64_t width, const Part& part) {
  const int64_t pieces = ceil_div(n, grain);
  std::vector<double> partial(pieces * width, 0.0), sums(width, 0.0);
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      part(i * grain, std::min(n, (i + 1) * grain), &partial[i * width]);
    }
  });
  for (int64_t i = 0; i < pieces * width; ++i) sums[i % width] += partial[i];
  return sums;
}

}  // namespace tapestry
