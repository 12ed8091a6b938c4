#pragma once

#include <string>
#include <vector>

#include "eval/attention_map.h"
#include "train/checkpoint.h"

namespace tapestry {

/// Which maps to draw.
struct PictureOptions {
  std::vector<int64_t> layers, heads;
  double threshold = 0.01;  // weights above it count as read
};

/// One head of one layer: how much of the causal pairs each model reads.
struct HeadDensity {
  int64_t layer, head;
  double a, b;
};

/// Draws the attention of both models on the same tokens [1, T], side by side, one picture
/// layer-L-head-H.png for each layer and head, in the folder. The layers and heads must be there in both.
/// `drawn` becomes false without gnuplot: then the maps (T x T float32 in a row each) and scripts are left.
std::vector<HeadDensity> draw_attention(const std::string& folder, const LoadedModel& a, const LoadedModel& b,
                                        const Tensor& tokens, const PictureOptions& options, bool& drawn);

}  // namespace tapestry
