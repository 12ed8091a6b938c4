#include "layers/module.h"

#include "autograd/random.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

/// FNV-1a: the same on every machine and library version, unlike std::hash.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3u;
  return hash;
}

void fill_normal(Tensor& value, const Init& init, uint64_t key) {
  for_float(value.dtype(), [&]<class T>(T) {
    T* values = value.mutable_data<T>();
    parallel_for(value.size(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        values[i] = static_cast<T>(init.mean + init.deviation * random_normal(key, i));
    });
  });
}

}  // namespace

Module::Module(Module& parent, const std::string& name)
    : context_(parent.context_), path_(parent.path_of(name)) {
  parent.entries_.push_back({name, {}, {}, this});
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

void Module::initialise(const std::string& path) const {
  for (const Entry& entry : entries_) {
    if (entry.child) {
      if (path.starts_with(entry.child->path_ + ".")) entry.child->initialise(path);
    } else if (path_of(entry.name) == path) {
      fill(entry);
    }
  }
}

void Module::fill(const Entry& entry) const {
  Tensor value = entry.parameter.value();
  if (entry.init.deviation == 0) return value.fill(entry.init.mean);
  // Drawn on the host for any device, so that all have the same bits.
  Tensor drawn = value.device().is_cuda() ? Tensor::empty(value.shape(), value.dtype()) : value;
  fill_normal(drawn, entry.init, combine_keys(context_.seed, hash_of(path_of(entry.name))));
  if (value.device().is_cuda()) value.copy_from(drawn);
}

Parameter Module::add_parameter(const std::string& name, Shape shape, Init init) {
  Parameter parameter(Tensor::empty(shape, context_.dtype, context_.device));
  entries_.push_back({name, parameter, init, nullptr});
  if (context_.initialise) fill(entries_.back());
  return parameter;
}

}  // namespace tapestry
