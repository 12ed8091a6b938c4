#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/support/child.h"

namespace tapestry {
namespace {

TEST(Process, FilesDoNotTakeThePlaceOfClosedStreams) {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    EXPECT_EQ(status_of_child([&] {
                setenv("OMP_WAIT_POLICY", "passive", 1);  // no new start of the test program
                close(stream);
                char* no_arguments[] = {nullptr};
                prepare_process(no_arguments);
                return open("/dev/null", O_RDWR) > STDERR_FILENO ? 0 : 1;
              }),
              0)
        << stream;
  }
}

}  // namespace
}  // namespace tapestry
