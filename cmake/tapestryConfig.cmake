# What a program that links the static library must find again. HDF5, oneDNN and
# CUDA are linked by their paths.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(OpenMP COMPONENTS CXX)
find_dependency(Boost COMPONENTS program_options)
find_dependency(OpenSSL COMPONENTS Crypto)
find_dependency(PkgConfig)
pkg_check_modules(PCRE2 REQUIRED QUIET IMPORTED_TARGET libpcre2-8)
include(${CMAKE_CURRENT_LIST_DIR}/tapestryTargets.cmake)
