#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/options.h"

namespace tapestry {

/// A full key taken apart: "bsbr.chunk", "checkpoint" (no section), "layer.3.chunk" (section "layer.3").
struct KeyParts {
  std::string section;
  std::string name;
};
KeyParts split_key(const std::string& key);

/// Whether `section` is "layer.N" with a plain decimal N.
bool is_layer_section(const std::string& section);

/// The options that a command knows, looked up by full key. The sections must outlive it.
class KnownOptions {
 public:
  explicit KnownOptions(const std::vector<const OptionSection*>& sections) : sections_(sections) {}
  /// The full key that takes plain words; empty if none does.
  std::string words_key() const;

  bool has_section(const std::string& section) const;
  /// One option for most keys, several where attentions share the name of a `[layer.N]` key, none if unknown.
  std::vector<const Option*> find(const std::string& key) const;

  /// "did you mean a or b?", the nearest known ones; empty when nothing is known.
  std::string suggest_key(const std::string& key) const;
  std::string suggest_section(const std::string& section) const;

 private:
  std::vector<const OptionSection*> sections_;
};

/// Throws Error(usage), without the key, if none of `options` takes `text`.
void check_value(const std::vector<const Option*>& options, const std::string& text);

}  // namespace tapestry
