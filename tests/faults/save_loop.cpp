#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

/// save_loop atomic|streamed|in-place PATH SAVES WIDTH: saves a checkpoint of step 1, says "ready", then
/// saves steps 2 to SAVES. `streamed` takes the way of checkpoints that are too large to be built in memory;
/// `in-place` writes the same bytes over the old file, as a program without care would.
int run(const std::string& mode, const std::string& path, int64_t saves, int64_t width) {
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
    if (step == 1) {
      std::puts("ready");
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace tapestry::test

int main(int, char** argv) {
  try {
    return tapestry::test::run(argv[1], argv[2], std::atoll(argv[3]), std::atoll(argv[4]));
  } catch (const tapestry::Error& error) {
    std::cerr << error.what() << std::endl;
    return static_cast<int>(error.exit());
  }
}
