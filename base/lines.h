#pragma once

#include <sstream>
#include <string>

namespace tapestry {

/// Text to take apart. A stream takes a failed allocation for the end of the text; this one throws it.
inline std::istringstream text_stream(const std::string& text) {
  std::istringstream in(text);
  in.exceptions(std::ios::badbit);
  return in;
}

/// std::getline that throws what stops it: alone it takes a failed allocation for the end of the text.
inline bool next_line(std::istream& in, std::string& line) {
  in.exceptions(std::ios::badbit);
  return static_cast<bool>(std::getline(in, line));
}

}  // namespace tapestry
