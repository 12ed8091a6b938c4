#include "data/synthetic/task.h"

#include "data/synthetic/copy.h"
#include "data/synthetic/induction.h"
#include "data/synthetic/passkey.h"
#include "data/synthetic/recall.h"

namespace tapestry {

const std::vector<TaskKind>& task_kinds() {
  static const std::vector<TaskKind> kinds = {recall_task(), passkey_task(), copy_task(), induction_task()};
  return kinds;
}

const TaskKind& find_task(const std::string& name) {
  std::string known;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.section->name == name) return kind;
    known += (known.empty() ? "" : ", ") + kind.section->name;
  }
  fail(Exit::usage, "data.task = ", name, ": there is no such task, known are ", known);
}

std::vector<const OptionSection*> task_sections() {
  std::vector<const OptionSection*> sections;
  for (const TaskKind& kind : task_kinds()) sections.push_back(kind.section);
  return sections;
}

}  // namespace tapestry
