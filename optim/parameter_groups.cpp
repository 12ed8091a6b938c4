#include "optim/parameter_groups.h"

#include <fnmatch.h>

#include "base/options.h"

namespace tapestry {
namespace {

/// Which parameters the pattern matches.
std::vector<bool> matches(const std::vector<NamedParameter>& parameters, const std::string& pattern,
                          const char* key) {
  std::vector<bool> matched;
  bool any = false;
  for (const NamedParameter& named : parameters) {
    matched.push_back(fnmatch(pattern.c_str(), named.name.c_str(), 0) == 0);
    any |= matched.back();
  }
  check(any, Exit::usage, key, ": '", pattern, "' matches no parameter",
        parameters.empty() ? "" : "; names look like " + parameters.back().name);
  return matched;
}

struct Rule {
  std::string pattern;
  double factor;
};

Rule parse_rule(const std::string& text) {
  const size_t colon = text.rfind(':');
  check(colon != std::string::npos, Exit::usage, "optim.rates: '", text,
        "' is no pattern:factor, as in *.attention.gate:10");
  Rule rule{text.substr(0, colon), 1};
  try {
    parse_value(text.substr(colon + 1), above(0), rule.factor);
  } catch (const Error& error) {
    fail(Exit::usage, "optim.rates: the factor of '", text, "': ", error.what(),
         "; to keep parameters as they are, use optim.freeze");
  }
  return rule;
}

}  // namespace

std::vector<NamedParameter> trainable_parameters(const std::vector<NamedParameter>& parameters,
                                                 const std::vector<std::string>& freeze) {
  std::vector<bool> frozen(parameters.size(), false);
  for (const std::string& pattern : freeze) {
    const std::vector<bool> matched = matches(parameters, pattern, "optim.freeze");
    for (size_t i = 0; i < matched.size(); ++i) frozen[i] = frozen[i] || matched[i];
  }
  std::vector<NamedParameter> trainable;
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].parameter.set_frozen(frozen[i]);
    if (!frozen[i]) trainable.push_back(parameters[i]);
  }
  check(!trainable.empty() || parameters.empty(), Exit::usage, "optim.freeze leaves no parameter to train");
  return trainable;
}

std::vector<double> rate_factors(const std::vector<NamedParameter>& parameters,
                                 const std::vector<std::string>& rules) {
  std::vector<double> factors(parameters.size(), 1);
  for (const std::string& text : rules) {
    const Rule rule = parse_rule(text);
    const std::vector<bool> matched = matches(parameters, rule.pattern, "optim.rates");
    for (size_t i = 0; i < matched.size(); ++i) {
      if (matched[i]) factors[i] = rule.factor;
    }
  }
  return factors;
}

}  // namespace tapestry
