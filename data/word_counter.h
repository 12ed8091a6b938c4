#pragma once

#include <cstdint>
#include <string_view>

namespace tapestry {

/// Counts the parts of a text between ASCII whitespace, block by block.
class WordCounter {
 public:
  void add(std::string_view block) {
    for (const char c : block) {
      const bool space = c == ' ' || (c >= '\t' && c <= '\r');
      count_ += inside_ || space ? 0 : 1;
      inside_ = !space;
    }
  }
  int64_t count() const { return count_; }

 private:
  int64_t count_ = 0;
  bool inside_ = false;
};

}  // namespace tapestry
