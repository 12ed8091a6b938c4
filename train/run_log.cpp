#include "train/run_log.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/lines.h"
#include "base/options.h"
#include "data/atomic_file.h"

namespace tapestry {
namespace {

constexpr const char* kHeader =
    "step,tokens,train_loss,valid_loss,valid_perplexity,learning_rate,grad_norm,tokens_per_second,seconds,"
    "peak_memory_bytes\n";

/// Empty where nothing was measured.
std::string cell(double value) { return std::isnan(value) ? "" : format_value(value); }

/// The header and the lines up to `last_step`; a line that a crash left unfinished has no end and is dropped.
std::string kept_lines(const std::filesystem::path& path, int64_t last_step) {
  std::string kept = kHeader;
  std::ifstream file(path);
  std::string line;
  next_line(file, line);
  while (next_line(file, line) && !file.eof()) {
    int64_t step = 0;
    std::from_chars(line.data(), line.data() + line.size(), step);
    if (step <= last_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& path, int64_t last_step) : path_(path) {
  write_file_atomically(path_.string(), kept_lines(path, last_step));
}

void RunLog::write(const LogRow& row) {
  const std::string line =
      join(row.step, ',', row.tokens, ',', cell(row.train_loss), ',', cell(row.valid_loss), ',',
           cell(std::exp(row.valid_loss)), ',', cell(row.learning_rate), ',', cell(row.grad_norm), ',',
           cell(row.tokens_per_second), ',', cell(row.seconds), ',', row.peak_memory_bytes, '\n');
  std::ofstream file(path_, std::ios::app);
  file << line << std::flush;
  check(file.good(), Exit::io, "cannot write ", path_.string(), ": is the disk full?");
}

}  // namespace tapestry
