#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/synthetic/example.h"
#include "data/token_file.h"
#include "data/tokenizer.h"

namespace tapestry {

/// A task whose answers stand earlier in the sequence, and that nothing but reaching back to them solves.
class SyntheticTask {
 public:
  virtual ~SyntheticTask() = default;
  virtual std::shared_ptr<const Tokenizer> tokenizer() const = 0;
  /// A pure function of its arguments. The split matters only where a text is the filler.
  virtual Example example(uint64_t key, Split split) const = 0;
  /// SHA-256 of the file that the filler comes from, if one does.
  virtual std::string filler_sha256() const { return {}; }
};

/// A task by name, `data.task = NAME`, with the section of its options.
struct TaskKind {
  const OptionSection* section;  // its name is the task's
  /// Sequences of `seq_len` inputs; Error(usage) for options that do not fit into them.
  std::function<std::unique_ptr<SyntheticTask>(const Config&, int64_t seq_len)> make;
};

/// The kind of task that Task(options, seq_len) makes from the options in `table`, whose section has its
/// name.
template <class Task, class Options>
TaskKind task_kind_from(const OptionTable<Options>& table) {
  return {&table, [&table](const Config& config, int64_t seq_len) {
            return std::make_unique<Task>(config.get(table), seq_len);
          }};
}

const std::vector<TaskKind>& task_kinds();
/// Error(usage) that lists the names for one that is none of them.
const TaskKind& find_task(const std::string& name);
/// The sections of all tasks.
std::vector<const OptionSection*> task_sections();

}  // namespace tapestry
