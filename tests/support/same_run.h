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

/// Weights, moments, log and history of two run folders are the same, bit for bit.
inline void expect_same_run(const std::string& a, const std::string& b) {
  const Hdf5File x = Hdf5File::open(a + "/last.h5"), y = Hdf5File::open(b + "/last.h5");
  EXPECT_EQ(floats(x, "model"), floats(y, "model"));
  EXPECT_EQ(floats(x, "optimizer"), floats(y, "optimizer"));
  EXPECT_GT(floats(x, "optimizer").size(), 10u);
  for (const char* column : {"train_loss", "grad_norm", "learning_rate"}) {
    EXPECT_EQ(x.read<double>(join("history/", column)).size(),
              y.read<double>(join("history/", column)).size());
  }
  EXPECT_EQ(steady_columns(a + "/metrics.csv"), steady_columns(b + "/metrics.csv"));
}

}  // namespace tapestry::test
