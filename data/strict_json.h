#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>

namespace tapestry {

/// Parses one JSON value of a file that may be hostile. Errors are Error(input) that start with `where`:
/// syntax, invalid UTF-8, a byte order mark, text behind the value, numbers out of range, keys that occur
/// twice in an object, nesting deeper than `max_depth` (a scalar has depth 0, an object of scalars 1).
nlohmann::json parse_strict_json(std::string_view text, const std::string& where, int max_depth = 8);
/// The same of a file that has to hold an object.
nlohmann::json parse_strict_object(std::string_view text, const std::string& where);

/// The message of a parse error of nlohmann without its identifier, at most 200 bytes.
std::string json_message(const std::exception& error);

/// A text of a file for a message: quoted, control characters escaped, at most 100 bytes of it. It is made
/// only when it is streamed: the arguments of a check cost nothing while it holds.
struct Shown {
  std::string_view text;
};
inline Shown shown(std::string_view text) { return {text}; }
std::ostream& operator<<(std::ostream& out, const Shown& shown);

}  // namespace tapestry
