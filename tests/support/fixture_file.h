#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tapestry::test {

/// The folder of the fixtures: the environment's TAPESTRY_FIXTURES, or tests/fixtures of the sources.
std::string fixture_folder();
/// Paths of the files of `fixture_folder()/folder` whose names start and end like this, sorted by name.
std::vector<std::string> fixture_files(const std::string& folder, const std::string& start,
                                       const std::string& end);

/// A dataset, converted to double, in row-major order.
struct FixtureArray {
  std::vector<int64_t> shape;
  std::vector<double> data;
};

/// A group of an HDF5 fixture file; the file stays open while one of its groups is alive. Paths may contain
/// slashes. What is missing or of another type is an Error(input) that names file and path.
class FixtureGroup {
 public:
  /// The root group of a file.
  static FixtureGroup open(const std::string& path);

  /// Names of the members, sorted.
  std::vector<std::string> groups() const;
  std::vector<std::string> arrays() const;
  bool has(const std::string& path) const;
  FixtureGroup group(const std::string& path) const;
  FixtureArray array(const std::string& path) const;

  std::vector<std::string> attributes() const;
  bool has_attribute(const std::string& name) const;
  double number(const std::string& name) const;  // booleans are 0 and 1
  double number(const std::string& name, double otherwise) const;
  int64_t integer(const std::string& name) const;
  std::string text(const std::string& name) const;
  bool is_text(const std::string& name) const;

 private:
  struct Handle;
  std::vector<std::string> members(bool groups) const;
  Handle attribute(const std::string& name) const;

  std::string where_;  // file and path, for messages
  std::shared_ptr<Handle> group_;
};

}  // namespace tapestry::test
