#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tapestry {

/// log(sum(exp(values))), whatever their size; at least one value.
double log_sum_exp(std::span<const float> values);

/// How close two vectors are.
struct VectorAgreement {
  double cosine = 0;  // 1 for two vectors of zeros, 0 if only one of them is
  double mse = 0;     // mean of the squared differences
};
VectorAgreement compare_vectors(std::span<const float> a, std::span<const float> b);

/// How close two predictions of one token are. The logits are those of a, the reference, and of b.
struct LogitAgreement {
  VectorAgreement logits;
  double kl = 0;                         // KL(a || b) of the softmaxes, in nats
  double top1 = 0, top5 = 0, top10 = 0;  // share of a's k most likely tokens that are among b's
  double nll_a = 0, nll_b = 0;           // negative log-likelihood of `target`
};
LogitAgreement compare_logits(std::span<const float> a, std::span<const float> b, int32_t target);

/// A mean and its standard error, from values that may be taken as independent; NaN with fewer than two.
struct Estimate {
  double mean = 0;
  double error = 0;
};
Estimate estimate(const std::vector<double>& values);

}  // namespace tapestry
