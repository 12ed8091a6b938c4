#pragma once

#include <cstdint>
#include <string>

namespace tapestry {

/// Numbers for people: 0.45 -> "0.45s", 80 -> "1m 20s", 7300 -> "2h 1m".
std::string format_duration(double seconds);
/// 512 -> "512 B", 1288490188 -> "1.2 GiB".
std::string format_bytes(int64_t bytes);
/// 950 -> "950", 12345678 -> "12.3 M".
std::string format_count(double count);

}  // namespace tapestry
