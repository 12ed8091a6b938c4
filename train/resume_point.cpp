#include "train/resume_point.h"

#include <algorithm>
#include <iostream>

namespace tapestry {

Checkpoint open_resume_point(const RunFolder& folder) {
  std::vector<std::filesystem::path> candidates = folder.numbered();
  std::reverse(candidates.begin(), candidates.end());
  candidates.insert(candidates.begin(), folder.last());
  candidates.push_back(folder.best());
  std::string first_fault;
  for (const auto& path : candidates) {
    try {
      Checkpoint checkpoint(path.string());
      check(checkpoint.has_optimizer(), Exit::checkpoint, "'", path.string(),
            "' holds weights only; start a new run from it with train.init");
      if (!first_fault.empty()) std::cerr << first_fault << "; going on from " << path.string() << std::endl;
      return checkpoint;
    } catch (const Error& error) {
      if (error.exit() != Exit::checkpoint) throw;
      if (first_fault.empty()) first_fault = error.what();
    }
  }
  fail(Exit::checkpoint, first_fault, "; ", folder.path().string(),
       " holds no other checkpoint that is whole: start again with --overwrite");
}

}  // namespace tapestry
