#include "train/distillation.h"

#include "autograd/ops/binary.h"
#include "autograd/ops/relative_error.h"
#include "autograd/tape.h"
#include "base/violations.h"
#include "data/sha256.h"
#include "train/model_source.h"

namespace tapestry {
namespace {

std::string sha256_of(const Module& model) {
  Sha256 hash;
  for (const auto& [name, parameter] : model.parameters()) {
    const Tensor value = parameter.value().to(Device::cpu());
    hash.update(name + "\n")
        .update({reinterpret_cast<const char*>(value.data<float>()), static_cast<size_t>(value.bytes())});
  }
  return hash.hex();
}

/// The mean over the layers of what each misses of the teacher's.
Tensor missed(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) {
  Tensor sum = relative_error(student[0], teacher[0]);
  for (size_t layer = 1; layer < student.size(); ++layer)
    sum = add(sum, relative_error(student[layer], teacher[layer]));
  return scale(sum, 1.0 / static_cast<double>(student.size()));
}

}  // namespace

StepLoss distilled_loss(const LanguageModel& student, const LanguageModel& teacher, const Tensor& tokens,
                        const Tensor& targets, const DistillationOptions& options, double match_attention) {
  const bool matched = match_attention > 0;
  std::vector<Tensor> aims, outputs;
  Tensor theirs;
  {
    Tape::Pause constants;
    theirs = matched ? teacher.final_hidden(tokens, aims) : teacher.final_hidden(tokens);
  }
  const Tensor ours = matched ? student.final_hidden(tokens, outputs) : student.final_hidden(tokens);
  const DistilledLoss found =
      linear_distillation(ours, student.output_weight(), theirs, teacher.output_weight(),
                          targets.to(student.context().device), options);
  const Tensor nll = Tensor::full({}, found.nll, DType::float64);
  if (!matched) return {found.loss, nll};
  return {add(found.loss, scale(missed(outputs, aims), match_attention)), nll};
}

Teacher::Teacher(const RunSetup& setup, const TrainingData& data, Device device) : options_(setup.train) {
  const auto source = open_model_source(options_.teacher);
  check_tokenizer(*data.tokenizer(), data.name(), source->tokenizer().get(), source->path());
  Config config = source->config();
  config.set("model.dropout", "0", "train.teacher");
  model_ = std::make_unique<LanguageModel>(config.get(model_options()), config,
                                           ModuleContext{.device = device, .initialise = false});
  check_fits(setup);
  read_parameters(*source, *model_);
  sha256_ = sha256_of(*model_);
}

void Teacher::check_fits(const RunSetup& setup) const {
  const ModelOptions& own = model_->options();
  Violations wrong;
  wrong.require(own.vocab_size == setup.model.vocab_size, "train.teacher has a vocabulary of ",
                own.vocab_size, " tokens, the model of ", setup.model.vocab_size);
  wrong.require(own.positions != "learned" || setup.data.seq_len <= own.n_ctx, "train.teacher has learned ",
                own.n_ctx, " positions, data.seq_len = ", setup.data.seq_len,
                " is longer: `tapestry convert --n-ctx` gives it more");
  if (options_.match_attention > 0) {
    wrong.require(own.n_layer == setup.model.n_layer && own.n_embd == setup.model.n_embd,
                  "train.match_attention needs a teacher of as many layers and the same width");
    wrong.require(options_.recompute == "none", "train.match_attention needs train.recompute = none");
  }
  wrong.throw_if_any();
}

Objective make_objective(const LanguageModel& model, const Teacher* teacher) {
  return [&model, teacher](const Tensor& tokens, const Tensor& targets) {
    if (teacher != nullptr) return teacher->loss(model, tokens, targets);
    const Tensor loss = model.loss(tokens, targets);
    return StepLoss{loss, loss.detach()};
  };
}

}  // namespace tapestry
