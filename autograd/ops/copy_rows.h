#pragma once

#include "autograd/tensor.h"

namespace tapestry {

/// Copies `count` rows of src, from row `from` on, over the rows of dst from `to` on. A row is the last axis;
/// the axes before it count as one. src and dst are different tensors. Not recorded.
void copy_rows(const Tensor& src, int64_t from, Tensor& dst, int64_t to, int64_t count);

}  // namespace tapestry
