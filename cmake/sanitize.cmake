# Builds that watch the program while it runs. -O1 comes last and wins over the build type's -O3.
set(watch -g1 -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all)
if(TAPESTRY_SANITIZE STREQUAL "address")
  list(APPEND watch -fsanitize=address,undefined)
elseif(TAPESTRY_SANITIZE STREQUAL "thread")
  list(APPEND watch -fsanitize=thread)
elseif(TAPESTRY_SANITIZE)
  message(FATAL_ERROR "TAPESTRY_SANITIZE is '${TAPESTRY_SANITIZE}': it is address, thread or empty")
endif()
if(TAPESTRY_SANITIZE)
  add_compile_options(${watch})
  add_link_options(${watch})
endif()

# The fuzz targets need a library that reports which of its branches an input reached.
set(TAPESTRY_FUZZ OFF)
if(TAPESTRY_SANITIZE STREQUAL "address" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(TAPESTRY_FUZZ ON)
  add_compile_options(-fsanitize=fuzzer-no-link)
  # How far every known name is from a misspelt one teaches the fuzzer nothing, and would be most of its time.
  set_source_files_properties(base/nearest.cpp PROPERTIES COMPILE_OPTIONS -fno-sanitize-coverage=trace-cmp)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wno-pass-failed)  # loops marked for SIMD may stay scalar
endif()
