#include "autograd/cuda/context.h"

#include <cstdlib>
#include <cstring>

namespace tapestry::cuda {
namespace {

bool wait_for_each_kernel() {
  static const bool wait = [] {
    const char* value = std::getenv("TAPESTRY_CUDA_SYNC");
    return value != nullptr && std::strcmp(value, "0") != 0;
  }();
  return wait;
}

cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  check_cuda(cudaSetDevice(0), "cudaSetDevice");
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

cublasHandle_t make_blas() {
  cublasHandle_t handle = nullptr;
  const cudaStream_t on = stream();
  check_blas(cublasCreate(&handle), "cublasCreate");
  check_blas(cublasSetStream(handle, on), "cublasSetStream");
  return handle;
}

}  // namespace

cudaStream_t stream() {
  static const cudaStream_t stream = make_stream();
  return stream;
}

cublasHandle_t blas() {
  static const cublasHandle_t handle = make_blas();
  return handle;
}

const FoundDevices& found_devices() {
  static const FoundDevices found = [] {
    FoundDevices devices;
    const cudaError_t status = cudaGetDeviceCount(&devices.count);
    cudaGetLastError();  // no driver is no error of the next call
    if (status != cudaSuccess) devices = {0, cudaGetErrorString(status)};
    return devices;
  }();
  return found;
}

void synchronize() { check_cuda(cudaStreamSynchronize(stream()), "waiting for the device"); }

void check_cuda(cudaError_t status, const char* what) {
  check(status == cudaSuccess, Exit::memory, "CUDA: ", what, ": ", cudaGetErrorString(status));
}

void check_blas(cublasStatus_t status, const char* what) {
  check(status == CUBLAS_STATUS_SUCCESS, Exit::memory, "cuBLAS: ", what, ": ", cublasGetStatusString(status));
  check_launch(what);
}

void check_launch(const char* kernel) {
  check_cuda(cudaGetLastError(), kernel);
  if (wait_for_each_kernel()) check_cuda(cudaStreamSynchronize(stream()), kernel);
}

}  // namespace tapestry::cuda
