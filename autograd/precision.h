#pragma once

#include <string>

namespace tapestry {

/// What the operands of a matrix product of float32 numbers are rounded to before they are multiplied; sums
/// are float32 in any case.
enum class Precision { float32, bf16 };

/// "float32" or "bf16", the values of run.precision.
Precision precision_of(const std::string& name);

/// The precision of products that do not ask for another. It belongs to the whole process, as the number of
/// threads does. Setting one that the processor or this build cannot compute in is an Error(memory).
Precision product_precision();
void set_product_precision(Precision precision);

}  // namespace tapestry
