#pragma once

/// Marks a formula that the CPU and the GPU share.
#ifdef __CUDACC__
#define TAPESTRY_HD __host__ __device__
#else
#define TAPESTRY_HD
#endif
