#pragma once

#include <string>

#include "eval/compare.h"

namespace tapestry {

/// Writes layers.csv and positions.csv, what `found` holds by layer and by position, into the folder and
/// draws them: layers.png (cosine of the hidden states with standard errors; for models that are built alike)
/// and positions.png (top-1 agreement, cosine of the logits and of the last hidden state, KL). False without
/// gnuplot; then the scripts stay beside the data.
bool plot_comparison(const std::string& folder, const Comparison& found);

}  // namespace tapestry
