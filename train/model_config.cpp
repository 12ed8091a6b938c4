#include "train/model_config.h"

#include "base/run_options.h"
#include "data/data_options.h"
#include "data/synthetic/task.h"
#include "layers/attention/attention.h"
#include "layers/model_options.h"
#include "optim/optim_options.h"
#include "train/train_options.h"

namespace tapestry {

std::vector<const OptionSection*> model_sections() {
  std::vector<const OptionSection*> sections = {&model_options()};
  for (const AttentionKind& kind : attention_kinds()) sections.push_back(kind.section);
  return sections;
}

std::vector<const OptionSection*> run_sections() {
  std::vector<const OptionSection*> sections = model_sections();
  sections.push_back(&data_options());
  for (const OptionSection* task : task_sections()) sections.push_back(task);
  sections.insert(sections.end(), {&optim_options(), &train_options(), &run_options()});
  return sections;
}

Config spelled_out(const Config& config) {
  Config all;
  read_config_text(format_config(config, run_sections()), "config", run_sections(), all);
  return all;
}

}  // namespace tapestry
