# Under a sanitizer a process takes long to start, so the tests share a few.
set(shards 8)
math(EXPR last "${shards} - 1")
foreach(shard RANGE ${last})
  add_test(NAME Tests.${shard} COMMAND tapestry_tests --gtest_brief=1 --gtest_filter=-*Cuda*)
  set_tests_properties(Tests.${shard} PROPERTIES TIMEOUT 3600
    ENVIRONMENT "OMP_WAIT_POLICY=passive;GTEST_TOTAL_SHARDS=${shards};GTEST_SHARD_INDEX=${shard}")
endforeach()
