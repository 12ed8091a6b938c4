#pragma once

#include <cstdint>

namespace tapestry::cpu {

/// X <- (I + A)^-1 X, or (I + A)^-T X, by substitution in the calling thread: A [n, n] dense and strictly
/// lower triangular (the rest is not read), X [n, columns] with rows `ldx` apart. Never by an inverse, whose
/// powers of A blow up where keys repeat (ATTENTION section 4, pitfall i).
template <class T>
void solve_unit_lower(bool transpose, int64_t n, int64_t columns, const T* a, T* x, int64_t ldx);

}  // namespace tapestry::cpu
