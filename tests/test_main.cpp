#include <gtest/gtest.h>

#include <string_view>

#include "autograd/pool.h"
#include "tests/support/op_case.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "--time-ops") {
    tapestry::test::time_ops();
    return 0;
  }
  tapestry::pool_set_poison(true);
  return RUN_ALL_TESTS();
}
