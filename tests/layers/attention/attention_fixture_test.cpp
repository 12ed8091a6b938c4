#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "autograd/tape.h"
#include "layers/attention/attention.h"
#include "tests/layers/attention/fixture_names.h"
#include "tests/support/fixture_file.h"
#include "tests/support/op_case.h"

namespace tapestry::test {
namespace {

struct Limits {
  double out, gradient;
};

/// ATTENTION section 0.4.
Limits limits_of(const std::string& layer, const FixtureGroup& fixture, DType dtype) {
  if (dtype == DType::float64) return {1e-10, 1e-10};
  if (layer == "hopfield" && fixture.number("steps", 1) >= 3) return {5e-5, 5e-4};
  return {1e-5, 5e-5};
}

std::string value_text(const FixtureGroup& fixture, const std::string& attribute) {
  return fixture.is_text(attribute) ? fixture.text(attribute) : format_value(fixture.number(attribute));
}

/// Attributes that say what the case is, or that the result does not depend on where the layer has no such
/// option.
bool is_no_option(const FixtureGroup& fixture, const std::string& attribute) {
  static const std::set<std::string> known = {"B", "T", "C", "H", "bias", "topk_margin", "chunk"};
  if (known.contains(attribute)) return true;
  const double usual = std::pow(fixture.number("C") / fixture.number("H"), -0.5);
  return attribute == "scale" && std::abs(fixture.number("scale") - usual) < 1e-12;
}

Config config_of(const FixtureNames& names, const OptionSection& section, const FixtureGroup& fixture) {
  Config config;
  for (const auto& [key, value] : names.options) config.set(section.name + "." + key, value, "fixture");
  for (const std::string& attribute : fixture.attributes()) {
    std::string value = value_text(fixture, attribute);
    if (!section.find(attribute)) {
      check(is_no_option(fixture, attribute), Exit::usage, "the case sets ", attribute, " = ", value,
            ", but the section [", section.name, "] has no such key");
      continue;
    }
    if (const auto other = names.values.find(attribute + "=" + value); other != names.values.end())
      value = other->second;
    config.set(section.name + "." + attribute, value, "fixture");
  }
  return config;
}

/// Wq -> q.weight, bo -> out.bias; other names by the layer's table, or as they are.
std::string parameter_name(const FixtureNames& names, const std::string& fixture_name) {
  static const std::map<char, std::string> children = {{'q', "q"}, {'k', "k"}, {'v', "v"}, {'o', "out"}};
  if (const auto named = names.parameters.find(fixture_name); named != names.parameters.end())
    return named->second;
  if (fixture_name.size() != 2 || !children.contains(fixture_name[1])) return fixture_name;
  return children.at(fixture_name[1]) + (fixture_name[0] == 'W' ? ".weight" : ".bias");
}

/// One case of one file in one precision.
class AttentionFixture : public testing::Test {
 public:
  AttentionFixture(std::string path, std::string name, DType dtype)
      : path_(std::move(path)), name_(std::move(name)), dtype_(dtype) {}

  void TestBody() override {
    const FixtureGroup file = FixtureGroup::open(path_);
    const std::string layer = file.text("layer");
    ASSERT_TRUE(fixture_names().contains(layer)) << "no attention is known for the layer " << layer;
    const FixtureNames& names = fixture_names().at(layer);
    for (const AttentionKind& kind : attention_kinds()) {
      if (kind.name == names.kind) return compare(kind, names, file.group(name_), layer);
    }
    GTEST_SKIP() << "the factory has no attention " << names.kind;
  }

 private:
  void compare(const AttentionKind& kind, const FixtureNames& names, const FixtureGroup& fixture,
               const std::string& layer_name) {
    Module root(ModuleContext{.dtype = dtype_});
    const AttentionDims dims{.n_embd = fixture.integer("C"),
                             .n_head = fixture.integer("H"),
                             .bias = fixture.number("bias", 0) != 0};
    const auto layer = kind.make(root, dims, config_of(names, *kind.section, fixture), 0);
    const std::vector<std::string> fixture_parameters = load(*layer, names, fixture);
    const Limits limits = limits_of(layer_name, fixture, dtype_);

    Tape tape;
    const Tensor x = tape.watch(tensor(fixture.array("x")));
    const Tensor out = (*layer)(x);
    EXPECT_LE(difference(out.values<double>(), fixture.array("out").data), limits.out) << "out";
    tape.backward(out, tensor(fixture.array("dout")));
    EXPECT_LE(difference(tape.gradient(x).values<double>(), fixture.array("grad/x").data), limits.gradient)
        << "gradient of x";
    for (const std::string& name : fixture_parameters) {
      const Parameter parameter = parameters_.at(parameter_name(names, name));
      const std::vector<double> expected = fixture.array("grad/" + name).data;
      const std::vector<double> gradient = parameter.has_gradient() ? parameter.gradient().values<double>()
                                                                    : std::vector<double>(expected.size());
      EXPECT_LE(difference(gradient, expected), limits.gradient) << "gradient of " << name;
    }
  }

  /// Gives the layer the fixture's parameters, whose names it returns.
  std::vector<std::string> load(const Attention& layer, const FixtureNames& names,
                                const FixtureGroup& fixture) {
    for (const NamedParameter& named : layer.parameters())
      parameters_[named.name.substr(layer.path().size() + 1)] = named.parameter;
    std::set<std::string> loaded;
    const std::vector<std::string> fixture_parameters = fixture.group("param").arrays();
    for (const std::string& name : fixture_parameters) {
      const auto found = parameters_.find(parameter_name(names, name));
      check(found != parameters_.end(), Exit::usage, "the layer has no parameter ",
            parameter_name(names, name), " for the fixture's ", name);
      Tensor& value = found->second.mutable_value();
      value.copy_from(tensor(fixture.array("param/" + name)).reshape(value.shape()));
      loaded.insert(found->first);
    }
    for (const auto& [name, parameter] : parameters_)
      check(loaded.contains(name), Exit::usage, "the fixture has no value for the layer's ", name);
    return fixture_parameters;
  }

  Tensor tensor(const FixtureArray& array) const {
    Shape shape;
    switch (array.shape.size()) {
      case 1:
        shape = {array.shape[0]};
        break;
      case 2:
        shape = {array.shape[0], array.shape[1]};
        break;
      default:
        shape = {array.shape.at(0), array.shape.at(1), array.shape.at(2)};
    }
    return Tensor::from(array.data, shape).to(dtype_);
  }

  std::string path_, name_;
  DType dtype_;
  std::map<std::string, Parameter> parameters_;
};

void register_file(const std::string& path) {
  const std::string file = std::filesystem::path(path).stem().string();
  for (const std::string& name : FixtureGroup::open(path).groups()) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      const std::string test = file + "_" + name + "_" + name_of(dtype);
      testing::RegisterTest("AttentionFixture", test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [=]() -> testing::Test* { return new AttentionFixture(path, name, dtype); });
    }
  }
}

/// What could not be read, reported by a test of its own.
std::vector<std::string>& unreadable() {
  static std::vector<std::string> errors;
  return errors;
}

const bool registered = [] {
  for (const std::string& path : fixture_files("", "attention_", ".h5")) {
    try {
      register_file(path);
    } catch (const std::exception& error) {
      unreadable().push_back(error.what());
    }
  }
  return true;
}();

TEST(AttentionFixtureFiles, AreThereAndReadable) {
  EXPECT_FALSE(fixture_files("", "attention_", ".h5").empty()) << "in " << fixture_folder();
  EXPECT_TRUE(unreadable().empty()) << unreadable().front();
}

}  // namespace
}  // namespace tapestry::test
