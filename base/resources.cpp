#include "base/resources.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/lines.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

// The numbers at the start of a control group's file; none if it is missing or says "max".
std::vector<int64_t> numbers_in(const std::string& path) {
  std::ifstream file(path);
  std::vector<int64_t> numbers;
  for (int64_t number; file >> number;) numbers.push_back(number);
  return numbers;
}

// The number behind `name` in a file of "name number" lines, 0 if there is none.
int64_t field_in(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (next_line(file, line)) {
    std::istringstream words = text_stream(line);
    std::string first;
    int64_t number = 0;
    if (words >> first >> number && first == name) return number;
  }
  return 0;
}

bool names(const std::string& controllers, const std::string& controller) {
  return ("," + controllers + ",").find("," + controller + ",") != std::string::npos;
}

// Folders of the control groups that bind this process, innermost first, for both versions: version 2 has one
// tree (a line with no controllers), version 1 one for each controller. A container may see its own group as
// the root, so that every parent is listed and those that do not exist are simply without limits.
std::vector<std::string> control_groups(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::vector<std::string> folders;
  std::string line;
  while (next_line(file, line)) {
    std::istringstream parts = text_stream(line);
    std::string id, controllers, path;
    std::getline(parts, id, ':');
    std::getline(parts, controllers, ':');
    std::getline(parts, path);
    if (!controllers.empty() && !names(controllers, controller)) continue;
    const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    for (std::filesystem::path group = path; group.has_relative_path(); group = group.parent_path()) {
      folders.push_back(root + group.string());
    }
    folders.push_back(root);
  }
  return folders;
}

std::optional<int64_t> cores_of_group(const std::string& folder) {
  const auto limit = numbers_in(folder + "/cpu.max");
  if (limit.size() == 2) return ceil_div(limit[0], limit[1]);
  const auto quota = numbers_in(folder + "/cpu.cfs_quota_us");
  const auto period = numbers_in(folder + "/cpu.cfs_period_us");
  if (quota.empty() || period.empty() || quota[0] <= 0) return std::nullopt;
  return ceil_div(quota[0], period[0]);
}

// What files occupy in the cache counts as used but is given back on demand.
std::optional<int64_t> memory_of_group(const std::string& folder, const std::string& limit_file,
                                       const std::string& usage_file, const std::string& cache_field) {
  const auto limit = numbers_in(folder + limit_file);
  const auto usage = numbers_in(folder + usage_file);
  if (limit.empty() || usage.empty()) return std::nullopt;
  return limit[0] - usage[0] + field_in(folder + "/memory.stat", cache_field);
}

}  // namespace

int64_t available_cores() {
  cpu_set_t set;
  int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  for (const std::string& folder : control_groups("cpu")) {
    cores = std::min(cores, cores_of_group(folder).value_or(cores));
  }
  return std::max<int64_t>(cores, 1);
}

int64_t available_memory_bytes() {
  int64_t bytes = field_in("/proc/meminfo", "MemAvailable:") * 1024;
  for (const std::string& folder : control_groups("memory")) {
    const auto v2 = memory_of_group(folder, "/memory.max", "/memory.current", "inactive_file");
    const auto v1 =
        memory_of_group(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
    bytes = std::min({bytes, v2.value_or(bytes), v1.value_or(bytes)});
  }
  return std::max<int64_t>(bytes, 0);
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return time.tv_sec + 1e-6 * time.tv_usec; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

}  // namespace tapestry
