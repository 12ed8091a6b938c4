#include "tests/support/threads.h"

#include "tests/support/op_table.h"

namespace tapestry::test {
namespace {

TEST(Threads, EveryOpGivesTheSameBits) {
  ASSERT_FALSE(op_table().empty());
  for (const OpCase& op : op_table()) {
    if (op.name == "linear_row") continue;  // oneDNN splits the sums of a vector times a matrix by threads
    for (const DType dtype : {DType::float32, DType::float64}) {
      SCOPED_TRACE(op.name);
      expect_same_for_any_threads([&] { return run_case(op, dtype); });
    }
  }
}

}  // namespace
}  // namespace tapestry::test
