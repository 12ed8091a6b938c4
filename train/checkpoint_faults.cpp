#include "train/checkpoint_faults.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/signals.h"
#include "optim/optim_options.h"
#include "train/checkpoint.h"
#include "train/stored_values.h"

namespace tapestry {
namespace {

/// Reads a float32 dataset of the shape that the model gives it, and looks at every value.
void check_values(const Hdf5File& file, const std::string& name, const Shape& shape) {
  throw_if_stop_requested();
  const Hdf5Shape extent = extent_of(shape);
  // Room is made only for what is really there.
  const Hdf5Dataset stored = file.dataset(name);
  check(stored.shape() == extent, Exit::checkpoint, "'", file.path(), "': /", name, " has shape ",
        format_shape(stored.shape()), ", the model of its config needs ", format_shape(extent));
  std::vector<float> values(static_cast<size_t>(stored.size()));
  stored.read(values.data());
  check_finite(values, file, name, Exit::checkpoint);
}

void find_model_faults(const Checkpoint& checkpoint, const Module& model, FaultList& faults) {
  std::set<std::string> names;
  for (const auto& [name, parameter] : model.parameters()) names.insert(name);
  faults.add(checkpoint.faults_of_names("model", names));
  for (const NamedParameter& named : model.parameters()) {
    const std::string dataset = "model/" + named.name;
    if (checkpoint.file().has(dataset))
      faults.run([&] { check_values(checkpoint.file(), dataset, named.parameter.shape()); });
  }
}

/// Wanted only when the model is as it should be: the optimizer's tensors take twice its memory.
void find_optimizer_faults(const Checkpoint& checkpoint, const Module& model, FaultList& faults) {
  const auto optimizer = make_optimizer(checkpoint.config().get(optim_options()), model.parameters());
  std::map<std::string, std::set<std::string>> names;  // by kind
  for (const NamedTensor& state : optimizer->state()) {
    const auto slash = state.name.find('/');
    names[state.name.substr(0, slash)].insert(state.name.substr(slash + 1));
  }
  std::set<std::string> kinds;
  for (const auto& named : names) {
    const std::string group = "optimizer/" + named.first;
    kinds.insert(named.first);
    if (checkpoint.file().has(group))
      faults.run([&] { faults.add(checkpoint.faults_of_names(group, named.second)); });
  }
  faults.add(checkpoint.faults_of_names("optimizer", kinds));
  for (const NamedTensor& state : optimizer->state()) {
    const std::string dataset = "optimizer/" + state.name;
    if (checkpoint.file().has(dataset))
      faults.run([&] { check_values(checkpoint.file(), dataset, state.tensor.shape()); });
  }
}

void find_state_faults(const Checkpoint& checkpoint, FaultList& faults) {
  const TrainingState state = checkpoint.state();
  const auto where = join("'", checkpoint.path(), "': ");
  faults.require(
      state.step >= 0 && state.tokens >= 0 && state.best_step >= 0 && state.best_step <= state.step, where,
      "/state has step ", state.step, ", tokens ", state.tokens, ", best_step ", state.best_step);
  int64_t before = -1;
  for (const LogRow& row : state.history) {
    faults.require(row.step > before && row.step <= state.step, where, "/history has step ", row.step,
                   " after ", before, " in a run of ", state.step);
    before = row.step;
  }
  if (!checkpoint.has_optimizer()) return;
  const auto updates = checkpoint.file().read_attribute<int64_t>("optimizer", "steps");
  faults.require(updates == state.step, where, "its optimizer has made ", updates, " updates in ", state.step,
                 " steps");
}

void find_tokenizer_faults(const Checkpoint& checkpoint, FaultList& faults) {
  const auto tokenizer = checkpoint.tokenizer();
  const auto vocab_size = checkpoint.config().get(model_options()).vocab_size;
  faults.require(tokenizer->vocab_size() <= vocab_size, "'", checkpoint.path(), "': its tokenizer has ",
                 tokenizer->vocab_size(), " tokens, more than model.vocab_size = ", vocab_size);
}

}  // namespace

void find_checkpoint_faults(const std::string& path, FaultList& faults) {
  std::optional<Checkpoint> checkpoint;
  if (!faults.run([&] { checkpoint.emplace(path); })) return;  // nothing more is safe to read
  std::set<std::string> parts = {"config", "model", "state", "history", "tokenizer"};
  for (const char* optional : {"optimizer", "gpt2_config"})
    if (checkpoint->file().has(optional)) parts.insert(optional);
  faults.run([&] { faults.add(checkpoint->faults_of_names("/", parts)); });
  faults.run([&] { find_state_faults(*checkpoint, faults); });
  if (!faults.run([&] { checkpoint->config(); })) return;  // all that follows depends on it
  faults.run([&] { find_tokenizer_faults(*checkpoint, faults); });
  faults.run([&] {
    const auto model = make_unset_model(*checkpoint);
    const size_t before = faults.lines().size();
    find_model_faults(*checkpoint, *model, faults);
    if (checkpoint->has_optimizer() && faults.lines().size() == before)
      find_optimizer_faults(*checkpoint, *model, faults);
  });
}

}  // namespace tapestry
