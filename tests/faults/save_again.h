#pragma once

#include <functional>
#include <string>

#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {

/// Saves a checkpoint of step 1, calls `ready`, then saves steps 2 to `saves`. The mode is "atomic",
/// "streamed", the way of checkpoints that are too large to be built in memory, or "in-place", which writes
/// the same bytes over the old file, as a program without care would.
inline void save_again_and_again(const std::string& mode, const std::string& path, int64_t saves,
                                 int64_t width, const std::function<void()>& ready) {
  TinyCheckpoint checkpoint(width);
  std::string bytes;
  if (mode == "in-place") {
    checkpoint.save(path, 1);
    bytes = read_text(path);
  }
  for (int64_t step = 1; step <= saves; ++step) {
    if (mode == "in-place")
      write_text(path, bytes);
    else
      checkpoint.save(path, step, FileCalls::system(), mode == "streamed" ? 0 : VerifiedWriter::kMemoryLimit);
    if (step == 1) ready();
  }
}

}  // namespace tapestry::test
