#include "train/run_setup.h"

#include <set>

#include "base/violations.h"
#include "layers/layer_options.h"
#include "train/init_config.h"
#include "train/model_config.h"

namespace tapestry {
namespace {

/// What a resumed run may do otherwise than the run that it continues.
bool free_on_resume(const std::string& key) {
  static const std::set<std::string> keys = {
      "train.out",        "train.max_steps",   "train.log_every",        "train.keep",
      "train.eval_every", "train.eval_tokens", "train.checkpoint_every", "train.recompute",
      "train.teacher",    "data.tokens",       "run.precision"};
  return keys.contains(key) || key == "run.threads" || key == "run.device";
}

}  // namespace

RunSetup make_run_setup(const Config& config, const TrainingData& data) {
  const int64_t vocab_size = data.tokenizer()->vocab_size();
  RunSetup setup{config,
                 config.get(model_options()),
                 config.get(data_options()),
                 config.get(optim_options()),
                 config.get(train_options()),
                 config.get(run_options())};
  if (setup.model.vocab_size == 0) setup.model.vocab_size = vocab_size;
  if (setup.model.n_ctx == 0) setup.model.n_ctx = setup.data.seq_len;
  setup.config.set("model.vocab_size", format_value(setup.model.vocab_size), "the data");
  setup.config.set("model.n_ctx", format_value(setup.model.n_ctx), "data.seq_len");
  check(setup.model.vocab_size >= vocab_size, Exit::input, data.name(), " holds a vocabulary of ", vocab_size,
        " tokens, more than model.vocab_size = ", setup.model.vocab_size);
  Violations wrong;
  wrong.require(setup.model.positions != "learned" || setup.data.seq_len <= setup.model.n_ctx,
                "data.seq_len = ", setup.data.seq_len,
                " is longer than the learned positions, model.n_ctx = ", setup.model.n_ctx,
                setup.train.init.empty() ? "" : "; `tapestry convert --n-ctx` gives a model more");
  const TrainOptions none;
  wrong.require(!setup.train.teacher.empty() || (setup.train.teacher_weight == none.teacher_weight &&
                                                 setup.train.temperature == none.temperature &&
                                                 setup.train.match_attention == none.match_attention),
                "train.teacher_weight, train.temperature and train.match_attention need a train.teacher");
  check_optim(setup.optim, setup.train.max_steps, wrong);
  wrong.throw_if_any();
  check_model_options(setup.model);
  check_layer_options(setup.model, setup.config);
  return setup;
}

Config resumed_config(const Config& given, const Checkpoint& checkpoint) {
  Config config = checkpoint.config();
  Violations wrong;
  for (const auto& [key, value] : given.values()) {
    if (key.find('.') == std::string::npos) continue;
    const Config::Value* stored = config.find(key);
    const std::string before = stored ? stored->text : "its default";
    wrong.require(free_on_resume(key) || same_value(before, value.text), key, " = ", value.text, " (",
                  value.source, "), but the run to resume has ", before);
    config.set(key, value.text, value.source);
  }
  wrong.throw_if_any();
  return config;
}

}  // namespace tapestry
