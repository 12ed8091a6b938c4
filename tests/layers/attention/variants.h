#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "layers/attention/attention.h"

namespace tapestry::test {

/// One attention with options under which the contract tests run.
struct Variant {
  std::string kind;
  std::string name;
  std::vector<std::pair<std::string, std::string>> options;  // of the kind's section
  AttentionDims dims = {.n_embd = 12, .n_head = 3};
  int64_t period = 8;  // the chunk or window: lengths on both sides of its multiples are tested

  std::string id() const { return kind + "_" + name; }
};
inline std::ostream& operator<<(std::ostream& out, const Variant& variant) { return out << variant.id(); }

/// The default options of every attention of the factory, with a chunk or window of 8, and the variants of
/// variants.cpp, whose table the owner of an attention extends.
std::vector<Variant> variants();

/// The layer of a variant below `root`, with random parameters far from their initial values.
std::unique_ptr<Attention> make_attention(const Variant& variant, Module& root);

}  // namespace tapestry::test
