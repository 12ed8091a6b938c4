#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tapestry::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the program, which a fuzzer reports with the input that led here.
inline void hold(bool ok, std::string_view property) {
  if (ok) return;
  std::fprintf(stderr, "does not hold: %.*s\n", static_cast<int>(property.size()), property.data());
  std::abort();
}

/// What `read` returns, or nothing if it refuses with an Error of one of these exits that says why.
template <class Read>
auto accepted(std::initializer_list<Exit> exits, const Read& read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error& error) {
    hold(std::find(exits.begin(), exits.end(), error.exit()) != exits.end(), error.what());
    hold(*error.what() != '\0', "an error has a message");
    return std::nullopt;
  }
}

}  // namespace tapestry::fuzz
