#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tests/support/cuda_on_host/block_runner.h"

/// Stands in for the CUDA runtime, so that the kernels' own source files compile as C++ and run on the host:
/// a block's threads take turns, streams are done at once, and device memory is host memory that only kernels
/// and copies may touch.

#define __global__
#define __device__
#define __host__

// NOLINTBEGIN: the names are those of CUDA.
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
/// How often the host has waited for all that runs on a stream.
extern int cuda_on_host_waits;
using cudaStream_t = struct cuda_on_host_stream*;
using cudaEvent_t = struct cuda_on_host_event*;
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;
using dim3 = cuda_on_host::Extent;

#define threadIdx (::cuda_on_host::indices.thread)
#define blockIdx (::cuda_on_host::indices.block)
#define blockDim (::cuda_on_host::indices.block_size)
#define gridDim (::cuda_on_host::indices.grid_size)

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);

inline void __syncthreads() { cuda_on_host::wait_for_block(); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { cuda_on_host::wait_for_warp(mask); }
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return cuda_on_host::exchange(mask, value, lane);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return cuda_on_host::exchange(mask, value, cuda_on_host::lane() ^ lanes);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int lanes) {
  const int from = cuda_on_host::lane() - lanes;
  return cuda_on_host::exchange(mask, value, from < 0 ? cuda_on_host::lane() : from);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate) { return cuda_on_host::ballot(mask, predicate); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
// NOLINTEND
