#pragma once

#include <string>

#include "autograd/device.h"

namespace tapestry {

/// What the operands of a matrix product of float32 numbers are rounded to before they are multiplied; sums
/// are float32 in any case. tf32 has float32's range and ten bits of mantissa, which the tensor cores of a
/// CUDA device round to by themselves; bf16 has seven. In bf16, what is not worth rounding beforehand is
/// float32 on the CPU and tf32 on CUDA.
enum class Precision { float32, tf32, bf16 };

/// "float32", "tf32" or "bf16", the values of run.precision.
Precision precision_of(const std::string& name);
std::string name_of(Precision precision);

/// The precision of products that do not ask for another. It belongs to the whole process, as the number of
/// threads does. Setting one that `device` or this build cannot compute in is an Error.
Precision product_precision();
void set_product_precision(Precision precision, Device device = Device::cpu());

}  // namespace tapestry
