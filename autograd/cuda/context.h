#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "autograd/storage.h"

/// What every CUDA kernel file needs on the host side: one device, one stream on which all work runs in the
/// order in which it was started, one cuBLAS handle on it.
namespace tapestry::cuda {

cudaStream_t stream();
cublasHandle_t blas();

/// Throws Error(memory) that names `what` (a kernel or a call) unless the status is that of success.
void check_cuda(cudaError_t status, const char* what);
void check_blas(cublasStatus_t status, const char* what);
/// After a launch, also one by a library. With TAPESTRY_CUDA_SYNC=1 in the environment it waits for the
/// kernel, so that what goes wrong in one is reported with its name and not by a later call.
void check_launch(const char* kernel);

/// Device memory for the time of a call, from the pool. What runs on the stream may still use it after it is
/// gone, because whoever gets it next runs later on the same stream.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(int64_t size) : storage_(Device::cuda(), size * static_cast<int64_t>(sizeof(T))) {}
  T* data() { return static_cast<T*>(storage_.mutable_data()); }

 private:
  Storage storage_;
};

}  // namespace tapestry::cuda
