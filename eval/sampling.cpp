#include "eval/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace tapestry {
namespace {

/// Token ids by falling logit, the most likely `top_k` of them.
std::vector<int64_t> ranked(std::span<const float> logits, int64_t top_k) {
  std::vector<int64_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  const size_t kept = top_k > 0 ? std::min<size_t>(top_k, ids.size()) : ids.size();
  std::partial_sort(ids.begin(), ids.begin() + kept, ids.end(), before);
  ids.resize(kept);
  return ids;
}

}  // namespace

int64_t sample_token(std::span<const float> logits, const SamplingOptions& options, double uniform) {
  check(std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); }),
        Exit::nonfinite, "the model gave logits that are not finite");
  const std::vector<int64_t> ids = ranked(logits, options.temperature == 0 ? 1 : options.top_k);
  if (options.temperature == 0) return ids[0];
  std::vector<double> weights;
  double total = 0;
  for (int64_t id : ids) {
    weights.push_back(std::exp((logits[id] - logits[ids[0]]) / options.temperature));
    total += weights.back();
  }
  // The nucleus: as few of the most likely tokens as reach top_p (Holtzman et al. 2020).
  double kept = 0;
  size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.top_p * total)) kept += weights[count++];
  double left = uniform * kept;
  for (size_t i = 0; i < count; ++i) {
    left -= weights[i];
    if (left < 0) return ids[i];
  }
  return ids[count - 1];
}

}  // namespace tapestry
