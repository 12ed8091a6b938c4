#pragma once

#include <cstdint>

#include "base/error.h"

namespace tapestry {

/// The mean over tokens of several parts, each of which gives its sum: exact whatever the sizes of the parts,
/// which a mean of means is not.
class TokenMean {
 public:
  void add(double sum, int64_t tokens) {
    sum_ += sum;
    tokens_ += tokens;
  }
  double sum() const { return sum_; }
  int64_t tokens() const { return tokens_; }
  double mean() const {
    require(tokens_ > 0, "there is no mean over no tokens");
    return sum_ / static_cast<double>(tokens_);
  }

 private:
  double sum_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace tapestry
