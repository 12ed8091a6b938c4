#pragma once

#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace tapestry {

/// Patterns are those of the shell: `*` any text, dots among it, `?` one character, `[ab]` one of these.

/// Freezes the parameters that a pattern matches, unfreezes the others and returns those, in order. A pattern
/// that matches no parameter, and patterns that leave none, are an Error(usage).
std::vector<NamedParameter> trainable_parameters(const std::vector<NamedParameter>& parameters,
                                                 const std::vector<std::string>& freeze);

/// The factor of each parameter's learning rate: that of the last rule "pattern:factor" that matches, else 1.
/// A rule that cannot be read or matches no parameter is an Error(usage).
std::vector<double> rate_factors(const std::vector<NamedParameter>& parameters,
                                 const std::vector<std::string>& rules);

}  // namespace tapestry
