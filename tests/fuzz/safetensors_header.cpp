#include "data/safetensors_header.h"

#include <nlohmann/json.hpp>

#include "tests/fuzz/property.h"

using namespace tapestry;
using namespace tapestry::fuzz;

namespace {

/// The contract of the format, checked on a second, lenient reading of the text.
void check_contract(const SafetensorsHeader& header, std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text);
  hold(json.size() == header.tensors.size() + json.count("__metadata__"), "every key is a tensor");
  std::map<int64_t, int64_t> ends;  // by begin, of those that are not empty
  for (const auto& [name, entry] : header.tensors) {
    const nlohmann::json& tensor = json.at(name);
    hold(tensor.size() == 3 && tensor.at("dtype") == entry.dtype && tensor.at("shape") == entry.shape &&
             tensor.at("data_offsets") == std::vector{entry.begin, entry.end},
         "the fields are those of the text");
    __int128 bytes = safetensors_element_bytes(entry.dtype);
    hold(bytes > 0, "the dtype is known");
    for (const int64_t axis : entry.shape) {
      hold(axis >= 0, "sizes are not negative");
      bytes = std::min<__int128>(bytes * axis, __int128{1} << 64);
    }
    hold(bytes == entry.end - entry.begin && entry.begin >= 0, "the offsets fit the shape");
    if (bytes > 0) hold(ends.emplace(entry.begin, entry.end).second, "no two begin at one place");
  }
  int64_t end = 0;
  for (const auto& [begin, next] : ends) {
    hold(begin == end, "no holes and no overlaps");
    end = next;
  }
  hold(end == header.data_bytes, "the tensors fill the data");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = text_of(data, size);
  const auto header = accepted({Exit::input}, [&] { return parse_safetensors_header(text, "a file"); });
  if (header) check_contract(*header, text);
  return 0;
}
