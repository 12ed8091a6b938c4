#include "layers/module.h"

#include "autograd/random.h"

namespace tapestry {
namespace {

/// FNV-1a: the same on every machine and library version, unlike std::hash.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3u;
  return hash;
}

}  // namespace

Module::Module(Module& parent, const std::string& name)
    : context_(parent.context_), path_(parent.path_of(name)) {
  parent.entries_.push_back({name, {}, this});
}

std::vector<NamedParameter> Module::parameters() const {
  std::vector<NamedParameter> all;
  collect(all);
  return all;
}

void Module::collect(std::vector<NamedParameter>& all) const {
  for (const Entry& entry : entries_) {
    if (entry.child) {
      entry.child->collect(all);
    } else {
      all.push_back({path_of(entry.name), entry.parameter});
    }
  }
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const NamedParameter& named : parameters()) count += named.parameter.shape().size();
  return count;
}

Parameter Module::add_parameter(const std::string& name, Shape shape, Init init) {
  std::vector<double> values(shape.size(), init.mean);
  if (init.deviation != 0) {
    const uint64_t key = combine_keys(context_.seed, hash_of(path_of(name)));
    for (size_t i = 0; i < values.size(); ++i) values[i] += init.deviation * random_normal(key, i);
  }
  Parameter parameter(Tensor::from(values, shape).to(context_.dtype));
  entries_.push_back({name, parameter, nullptr});
  return parameter;
}

}  // namespace tapestry
