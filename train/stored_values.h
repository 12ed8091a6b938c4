#pragma once

#include "autograd/shape.h"
#include "data/hdf5_file.h"

namespace tapestry {

/// The lengths of all axes.
std::vector<int64_t> extent_of(const Shape& shape);

/// Throws an Error with this exit that names the first of a dataset's values that is not finite.
void check_finite(const std::vector<float>& values, const Hdf5File& file, const std::string& name, Exit exit);

}  // namespace tapestry
