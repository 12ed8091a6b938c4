#pragma once

#include <istream>
#include <string>

namespace tapestry {

/// std::getline that throws what stops it: by itself it takes a failed read or allocation for the end of the text.
inline bool next_line(std::istream& in, std::string& line) {
  in.exceptions(std::ios::badbit);
  return static_cast<bool>(std::getline(in, line));
}

}  // namespace tapestry
