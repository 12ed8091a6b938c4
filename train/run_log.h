#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

namespace tapestry {

/// One logged step. What was not measured at it is NaN.
struct LogRow {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  int64_t step = 0;
  int64_t tokens = 0;
  double train_loss = unknown;  // mean nats a token since the last logged step
  double valid_loss = unknown;
  double learning_rate = unknown;
  double grad_norm = unknown;
  double tokens_per_second = unknown;
  double seconds = 0;
  int64_t peak_memory_bytes = 0;
};

/// metrics.csv: a header, then one line for each logged step, in the file when `write` returns.
class RunLog {
 public:
  /// Starts a new file, or cuts an old one after `last_step`.
  RunLog(const std::filesystem::path& path, int64_t last_step);
  void write(const LogRow& row);

 private:
  std::filesystem::path path_;
};

}  // namespace tapestry
