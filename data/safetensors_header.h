#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tapestry {

/// What the header of a safetensors file says of one tensor.
struct SafetensorsEntry {
  std::string dtype;           // "F32", "BF16", ...
  std::vector<int64_t> shape;  // any number of axes up to 32
  int64_t size = 0;            // elements
  int64_t begin = 0;           // bytes [begin, end) behind the header
  int64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;  // of the key __metadata__
  int64_t data_bytes = 0;                       // that the tensors fill, without holes
};

/// Bytes an element of `dtype`; 0 if it is not one of BOOL, U8, I8, U16, I16, F16, BF16, U32, I32, F32, U64,
/// I64, F64.
int64_t safetensors_element_bytes(std::string_view dtype);

/// Parses the JSON header as strictly as the reference implementation and its README ask together: no key
/// twice, offsets without holes or overlaps, sizes that fit shape and dtype, no field but dtype, shape and
/// data_offsets. Memory is bounded by that of the text. Errors are Error(input) that start with `where`.
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& where);

}  // namespace tapestry
