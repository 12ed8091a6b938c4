#pragma once

#include <map>
#include <string>
#include <vector>

#include "layers/attention/bsbr_options.h"

namespace tapestry::test {

/// BSBR with read = state token by token, without a state matrix: the dense form of ATTENTION section 7.1
/// with the options of 7.7. Compression is left out.
struct DenseBsbr {
  BsbrOptions options;
  int64_t n_head, width;                              // H, C
  std::map<std::string, std::vector<double>> values;  // of the layer's parameters: "q.weight", "gate", ...

  /// x [B, T, C] -> [B, T, C]
  std::vector<double> operator()(const std::vector<double>& x, int64_t batch, int64_t tokens) const;
};

}  // namespace tapestry::test
