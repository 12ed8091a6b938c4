#pragma once

#include <string>
#include <vector>

#include "autograd/parameter.h"

namespace tapestry {

/// How a parameter starts.
struct Init {
  double mean = 0;
  double deviation = 0;
  static Init normal(double deviation) { return {0, deviation}; }
  static Init constant(double value) { return {value, 0}; }
  static Init zeros() { return {}; }
  static Init ones() { return {1, 0}; }
};

/// What all parameters of a module tree share.
struct ModuleContext {
  DType dtype = DType::float32;
  Device device = Device::cpu();
  uint64_t seed = 0;
  bool initialise = true;  // false: values undefined until they are read or Module::initialise() is called
};

/// A node of the tree of layers. A layer is a struct whose members are its children; naming a child registers
/// it: `Linear up{*this, "up", 512, 2048};`. Modules stay where they are: they are neither copied nor moved.
class Module {
 public:
  explicit Module(ModuleContext context = {}) : context_(context) {}
  Module(Module& parent, const std::string& name);
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// All parameters of the tree below, in the order of construction; a shared parameter once.
  std::vector<NamedParameter> parameters() const;
  int64_t parameter_count() const;
  /// Gives a parameter of the tree the first values that it has, or would have, with context().initialise.
  void initialise(const std::string& path) const;
  const ModuleContext& context() const { return context_; }
  const std::string& path() const { return path_; }

 protected:
  /// A new parameter of this module. Its first values depend on the seed and its path only.
  Parameter add_parameter(const std::string& name, Shape shape, Init init);

 private:
  // A parameter, or a child: then there is no parameter.
  struct Entry {
    std::string name;
    Parameter parameter;
    Init init;
    const Module* child;
  };
  std::string path_of(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }
  void collect(std::vector<NamedParameter>& all) const;
  void fill(const Entry& entry) const;

  ModuleContext context_;
  std::string path_;
  std::vector<Entry> entries_;  // in the order of construction
};

}  // namespace tapestry
