#pragma once

#include "train/convert_config.h"

namespace tapestry {

/// A model made from another, and what became of the parameters.
struct Conversion {
  Config config;
  std::unique_ptr<LanguageModel> model;
  int64_t kept = 0;  // numbers that are the source's own

  struct Started {
    std::string name;
    int64_t size;
    std::string from;  // "average of q and k", "0", "as in training", ...
  };
  std::vector<Started> started;      // parameters that the source does not have
  std::vector<std::string> dropped;  // parameters of the source that the new model does not have
};

/// Projections, feed-forward parts, norms, embeddings and positions are the source's own. For bsbr the
/// projections of retrieval start with read = state as the published averages, r that of q and k, h that of k
/// and v, and the gate at 0, so that the model is its exact local part; with read = tokens as copies of q and
/// k, and a learned score_bias at 0. Other new parameters start as they do in training.
///
/// Longer learned positions: `repeat` starts again from the first row after the last (as in Longformer,
/// Beltagy et al. 2020) and leaves the model as it was up to the old length; `interpolate` stretches the rows
/// linearly from the first to the last. Shorter ones are the first rows.
Conversion convert(const ModelSource& source, const ConvertOptions& options, const Config& given,
                   uint64_t seed);

}  // namespace tapestry
