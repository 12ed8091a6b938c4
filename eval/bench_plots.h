#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tapestry {

/// What one text costs with one attention at one precision and number of threads, by its length; the vectors
/// are of one size.
struct BenchSeries {
  std::string attention, precision;
  int64_t threads = 0;
  std::vector<double> lengths = {}, seconds = {}, bytes = {};
};

/// What the numbers of a series count.
struct BenchUnits {
  std::string seconds, bytes;
};

/// Writes time.csv and memory.csv into the folder, a line for each length of each series, and draws them
/// with logarithmic axes: time.png and memory.png. False without gnuplot; then the scripts stay beside the
/// data.
bool plot_bench(const std::string& folder, const std::vector<BenchSeries>& all, const BenchUnits& units);

}  // namespace tapestry
