#pragma once

#include <cstdint>

namespace tapestry::cuda {

/// The places 0 .. count - 1 in the order of their keys, equal keys by place: those with key k stand in
/// order[start[k]] .. order[start[k + 1] - 1]. Keys lie in [0, bins); order [count], start [bins + 1], all in
/// device memory.
void sort_places(const int32_t* keys, int64_t count, int64_t bins, int32_t* order, int32_t* start);

}  // namespace tapestry::cuda
