# The CUDA kernels on the host: the same .cu files, compiled as C++ against stand-ins of the CUDA headers that
# run the threads of a block in turn, and the tests that compare both halves of the seam. It proves the
# kernels' arithmetic, their barriers and that every cpu:: half which an op calls has its cuda:: twin (the
# program would not link); not that a device runs them.
find_package(Boost REQUIRED COMPONENTS context)

file(GLOB stand_ins CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_on_host/*.cpp)
list(FILTER stand_ins EXCLUDE REGEX "_test\\.cpp$")
list(TRANSFORM seam_sources PREPEND ${PROJECT_SOURCE_DIR}/)
list(FILTER seam_sources EXCLUDE REGEX "/(gemm|triangular|delta_rule_kernels|softmax_attention_backward)\\.cpp$")
file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/autograd/*.cu ${PROJECT_SOURCE_DIR}/optim/*.cu)
set_source_files_properties(${kernel_sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
add_library(tapestry_cuda_on_host OBJECT ${seam_sources} ${kernel_sources} ${stand_ins})
target_compile_definitions(tapestry_cuda_on_host PRIVATE TAPESTRY_CUDA)
# unknown-pragmas: unroll is nvcc's.
target_compile_options(tapestry_cuda_on_host PRIVATE -Wall -Wextra -Wno-unknown-pragmas -O1)
target_include_directories(tapestry_cuda_on_host BEFORE PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_on_host)
target_link_libraries(tapestry_cuda_on_host PUBLIC tapestry Boost::context)

# The same objects as in tapestry_tests, and the tests of the emulator.
add_executable(tapestry_cuda_tests support/cuda_on_host/emulator_test.cpp support/cuda_on_host/waits_test.cpp support/cuda_on_host/block_tiles_test.cpp
                                   support/paths.cpp cuda/gemm_test.cpp
                                   $<TARGET_OBJECTS:tapestry_op_tests>)
target_include_directories(tapestry_cuda_tests BEFORE PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_on_host)
target_compile_options(tapestry_cuda_tests PRIVATE -Wall -Wextra -O1)
target_link_libraries(tapestry_cuda_tests PRIVATE tapestry_cuda_on_host GTest::gtest GTest::gmock Eigen3::Eigen
                      ${HDF5_C_LIBRARIES})
gtest_discover_tests(tapestry_cuda_tests DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                     TEST_PREFIX CudaKernelsOnTheHost. TEST_FILTER *Cuda*
                     PROPERTIES LABELS cuda_on_host TIMEOUT 300 ENVIRONMENT OMP_WAIT_POLICY=passive)
