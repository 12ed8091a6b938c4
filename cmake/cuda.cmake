# TAPESTRY_CUDA=ON|OFF|AUTO: sets TAPESTRY_WITH_CUDA, and where it is on appends the .cu files to `sources`.
# nvcc is found in PATH, by CUDACXX, in CUDA_PATH or in /usr/local/cuda.
set(TAPESTRY_WITH_CUDA OFF)
if(NOT TAPESTRY_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit 12.4 QUIET)  # the first whose C++20 takes the kernels
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE AND TARGET CUDA::cublas)
    set(TAPESTRY_WITH_CUDA ON)
  elseif(TAPESTRY_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TAPESTRY_CUDA=ON needs the CUDA toolkit, 12.4 or newer, with nvcc and cuBLAS: set "
                        "CUDAToolkit_ROOT to where it is, or use TAPESTRY_CUDA=OFF")
  endif()
endif()
if(TAPESTRY_WITH_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # Machine code for Ampere and Hopper; any newer device compiles what 80 carries as PTX when it starts.
    set(CMAKE_CUDA_ARCHITECTURES 80 90a-real)
    if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
      list(APPEND CMAKE_CUDA_ARCHITECTURES 100-real)
    endif()
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  enable_language(CUDA)
  if(TAPESTRY_CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${TAPESTRY_CCACHE})
  endif()
  list(TRANSFORM folders APPEND "/*.cu" OUTPUT_VARIABLE cuda_patterns)
  file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${cuda_patterns})
  list(APPEND sources ${cuda_sources})
  message(STATUS "CUDA ${CUDAToolkit_VERSION}: kernels for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "No CUDA kernels (TAPESTRY_CUDA=${TAPESTRY_CUDA}): the program runs on the CPU")
endif()

# -std: CMake 3.25 does not know that nvcc 13 has C++20.
function(tapestry_use_cuda target)
  target_compile_definitions(${target} PUBLIC TAPESTRY_CUDA)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --expt-relaxed-constexpr --extended-lambda
                                -Xcompiler=-Wall,-Wextra>)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static CUDA::cublas)
endfunction()
