#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tapestry {

/// A sequence of token ids that windows are cut from.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual int64_t size() const = 0;
  /// Tokens [first, first + count), which must lie inside.
  virtual void read(int64_t first, int64_t count, int32_t* tokens) const = 0;
  /// What error messages call it: "train tokens of 'a.h5'".
  virtual std::string name() const = 0;
};

/// Tokens of a vector.
class MemoryTokens : public TokenSource {
 public:
  explicit MemoryTokens(std::vector<int32_t> tokens, std::string name = "the tokens")
      : tokens_(std::move(tokens)), name_(std::move(name)) {}
  int64_t size() const override { return static_cast<int64_t>(tokens_.size()); }
  void read(int64_t first, int64_t count, int32_t* tokens) const override {
    require(first >= 0 && count >= 0 && first <= size() - count, "range [", first, ", ", first + count,
            ") is outside ", name_, ", which has ", size());
    std::copy_n(tokens_.begin() + first, count, tokens);
  }
  std::string name() const override { return name_; }

 private:
  std::vector<int32_t> tokens_;
  std::string name_;
};

}  // namespace tapestry
