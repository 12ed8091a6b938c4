#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace tapestry {

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  Sha256& update(const void* data, size_t size);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  /// 64 lower-case hexadecimal digits; ends the hash.
  std::string hex();

 private:
  std::unique_ptr<void, void (*)(void*)> context_;
};

}  // namespace tapestry
