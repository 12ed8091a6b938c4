#pragma once

#include "tests/support/op_case.h"

namespace tapestry::test {

/// The cases of all ops.
const std::vector<OpCase>& op_table();

/// What a case computes with two uses of the same inputs, so that backward also adds to gradients that are
/// there.
struct OpResults {
  std::vector<double> values;
  std::vector<std::vector<double>> gradients;  // of each input; empty where it has none
  bool operator==(const OpResults&) const = default;
};
/// The output gradient is random.
OpResults run_case(const OpCase& op, DType dtype, Device device = Device::cpu());

}  // namespace tapestry::test
