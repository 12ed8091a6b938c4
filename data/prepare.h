#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/corpus.h"

namespace tapestry {

struct PrepareOptions {
  std::vector<std::string> input;
  std::string tokenizer = "bytes";
  std::string output;
  double valid_fraction = 0.1;
};

const OptionTable<PrepareOptions>& prepare_options();

struct SplitSummary {
  int64_t documents = 0, bytes = 0, words = 0, tokens = 0;
};

struct PrepareSummary {
  SplitSummary train, valid;
  std::string tokenizer;  // its identity
  int64_t vocab_size = 0;
  std::vector<SkippedFile> skipped;
  std::string sha256;  // of the token file's content
};

/// Text files and folders -> a token file. Memory stays bounded for any size of corpus and of file; the same
/// input and seed give the same bytes. Progress goes to standard error.
PrepareSummary prepare(const PrepareOptions& options, int64_t seed);

}  // namespace tapestry
