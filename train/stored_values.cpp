#include "train/stored_values.h"

#include <algorithm>
#include <cmath>

namespace tapestry {

std::vector<int64_t> extent_of(const Shape& shape) {
  std::vector<int64_t> extent;
  for (int axis = 0; axis < shape.rank(); ++axis) extent.push_back(shape[axis]);
  return extent;
}

void check_finite(const std::vector<float>& values, const Hdf5File& file, const std::string& name,
                  Exit exit) {
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  if (bad == values.end()) return;
  fail(exit, "'", file.path(), "': element ", bad - values.begin(), " of /", name, " is ", *bad);
}

}  // namespace tapestry
