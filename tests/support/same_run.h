#pragma once

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "data/hdf5_file.h"
#include "tests/support/temporary_folder.h"

namespace tapestry::test {

/// metrics.csv without the columns of time and memory.
inline std::string steady_columns(const std::string& path) {
  std::istringstream file(read_text(path));
  std::string line, kept;
  while (std::getline(file, line)) {
    for (int cut = 0; cut < 3; ++cut) line.erase(line.rfind(','));
    kept += line + "\n";
  }
  return kept;
}

/// All float datasets of a group, by name.
inline std::map<std::string, std::vector<float>> floats(const Hdf5File& file, const std::string& group) {
  std::map<std::string, std::vector<float>> all;
  for (const std::string& name : file.list(group)) {
    const std::string path = group + "/" + name;
    if (file.is_group(path)) {
      all.merge(floats(file, path));
    } else {
      all[path] = file.read<float>(path);
    }
  }
  return all;
}

/// What differs between two run folders beyond times and memory: weights, moments, where the run stands, the
/// history, the log. Empty for the same run, bit for bit.
inline std::vector<std::string> differences(const std::string& a, const std::string& b) {
  const Hdf5File x = Hdf5File::open(a + "/last.h5"), y = Hdf5File::open(b + "/last.h5");
  std::vector<std::string> differ;
  const auto compare = [&](const std::string& what, const auto& left, const auto& right) {
    if (left != right) differ.push_back(what);
  };
  for (const char* group : {"model", "optimizer"}) compare(group, floats(x, group), floats(y, group));
  for (const char* count : {"step", "tokens", "best_step", "unfinished", "since_log_tokens"})
    compare(count, x.read_attribute<int64_t>("state", count), y.read_attribute<int64_t>("state", count));
  for (const char* value : {"best_loss", "grad_norm", "since_log_nll"})
    compare(value, x.read_attribute<double>("state", value), y.read_attribute<double>("state", value));
  compare("updates", x.read_attribute<int64_t>("optimizer", "steps"),
          y.read_attribute<int64_t>("optimizer", "steps"));
  const auto bytes = [](const Hdf5File& file, const std::string& column) {
    const auto values = file.read<double>("history/" + column);  // with NaN, which equals nothing
    return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  };
  for (const std::string column : {"train_loss", "valid_loss", "learning_rate", "grad_norm"})
    compare("history/" + column, bytes(x, column), bytes(y, column));
  compare("metrics.csv", steady_columns(a + "/metrics.csv"), steady_columns(b + "/metrics.csv"));
  return differ;
}

inline void expect_same_run(const std::string& a, const std::string& b) {
  EXPECT_EQ(differences(a, b), std::vector<std::string>());
  EXPECT_GT(floats(Hdf5File::open(a + "/last.h5"), "optimizer").size(), 10u);
}

}  // namespace tapestry::test
