#include "train/checkpoint.h"

#include <cmath>
#include <filesystem>
#include <set>

#include "data/tokenizer_store.h"
#include "train/model_config.h"
#include "train/stored_values.h"

namespace tapestry {

const FileKind kCheckpointFile{.name = "checkpoint", .version = 1, .exit = Exit::checkpoint};

namespace {

void write_tensor(Hdf5File& file, const std::string& name, const Tensor& tensor) {
  file.write<float>(name, extent_of(tensor.shape()), tensor.to(Device::cpu()).data<float>());
}

void read_tensor(const Hdf5File& file, const std::string& name, Tensor tensor) {
  Tensor read = tensor.device().is_cuda() ? Tensor::empty(tensor.shape()) : tensor;
  file.read<float>(name, extent_of(read.shape()), read.mutable_data<float>());
  if (tensor.device().is_cuda()) tensor.copy_from(read);
}

void check_finite(const std::vector<NamedParameter>& parameters, const std::string& path) {
  for (const auto& [name, parameter] : parameters) {
    const Tensor on_host = parameter.value().to(Device::cpu());
    const float* values = on_host.data<float>();
    for (int64_t i = 0; i < parameter.value().size(); ++i) {
      check(std::isfinite(values[i]), Exit::nonfinite, path, " is not written: element ", i, " of ", name,
            " is ", values[i]);
    }
  }
}

/// The columns of /history.
struct HistoryColumn {
  const char* name;
  double LogRow::*value;
};
constexpr HistoryColumn kHistory[] = {{"train_loss", &LogRow::train_loss},
                                      {"valid_loss", &LogRow::valid_loss},
                                      {"learning_rate", &LogRow::learning_rate},
                                      {"grad_norm", &LogRow::grad_norm}};

template <class T, class Read>
void write_column(Hdf5File& file, const std::string& name, const std::vector<LogRow>& rows,
                  const Read& read) {
  std::vector<T> values;
  for (const LogRow& row : rows) values.push_back(read(row));
  file.write<T>("history/" + name, {static_cast<int64_t>(values.size())}, values.data());
}

void write_history(Hdf5File& file, const std::vector<LogRow>& rows) {
  write_column<int64_t>(file, "step", rows, [](const LogRow& row) { return row.step; });
  write_column<int64_t>(file, "tokens", rows, [](const LogRow& row) { return row.tokens; });
  for (const HistoryColumn& column : kHistory) {
    write_column<double>(file, column.name, rows, [&](const LogRow& row) { return row.*column.value; });
  }
  write_column<double>(file, "perplexity", rows, [](const LogRow& row) { return std::exp(row.valid_loss); });
}

std::vector<LogRow> read_history(const Hdf5File& file) {
  const auto steps = file.read<int64_t>("history/step");
  const auto tokens = file.read<int64_t>("history/tokens");
  const auto check_length = [&](const std::string& name, size_t length) {
    check(length == steps.size(), Exit::checkpoint, "'", file.path(), "': /history/", name, " has ", length,
          " rows, /history/step ", steps.size());
  };
  check_length("tokens", tokens.size());
  std::vector<LogRow> rows(steps.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].step = steps[i];
    rows[i].tokens = tokens[i];
  }
  for (const HistoryColumn& column : kHistory) {
    const auto values = file.read<double>(join("history/", column.name));
    check_length(column.name, values.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i].*column.value = values[i];
  }
  return rows;
}

void write_state(Hdf5File& file, const TrainingState& state) {
  file.create_group("state");
  file.write_attribute("state", "step", state.step);
  file.write_attribute("state", "tokens", state.tokens);
  file.write_attribute("state", "best_loss", state.best_loss);
  file.write_attribute("state", "best_step", state.best_step);
  file.write_attribute("state", "grad_norm", state.grad_norm);
  file.write_attribute("state", "unfinished", state.unfinished ? 1 : 0);
  file.write_attribute("state", "since_log_nll", state.since_log.sum());
  file.write_attribute("state", "since_log_tokens", state.since_log.tokens());
  file.write_attribute("state", "seconds", state.seconds);
  file.write_attribute("state", "tokens_sha256", state.tokens_sha256);
  file.write_attribute("state", "teacher_sha256", state.teacher_sha256);
}

void write_optimizer(Hdf5File& file, Optimizer& optimizer) {
  file.create_group("optimizer");
  file.write_attribute("optimizer", "steps", optimizer.steps());
  for (const NamedTensor& state : optimizer.state())
    write_tensor(file, "optimizer/" + state.name, state.tensor);
}

/// Bytes of what is written, to choose between memory and streaming.
int64_t expected_bytes(const std::vector<NamedParameter>& parameters, Optimizer* optimizer) {
  int64_t bytes = 1 << 20;
  for (const auto& [name, parameter] : parameters) bytes += parameter.value().bytes();
  if (optimizer == nullptr) return bytes;
  for (const NamedTensor& state : optimizer->state()) bytes += state.tensor.bytes();
  return bytes;
}

/// What is wrong with a checkpoint is Exit::checkpoint, whichever part of the program finds it.
template <class Read>
decltype(auto) as_checkpoint(const std::string& path, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (error.exit() != Exit::usage && error.exit() != Exit::input) throw;
    fail(Exit::checkpoint, "'", path, "' cannot be used: ", error.what());
  }
}

/// A config that describes a much larger model than the file can hold is found before room is made for that.
void check_fits(const ModelOptions& model, const std::string& path) {
  const auto width = static_cast<double>(model.n_embd);  // numbers may multiply to more than an integer holds
  const double least =
      width * static_cast<double>(model.vocab_size) + width * width * static_cast<double>(model.n_layer);
  const auto bytes = static_cast<double>(std::filesystem::file_size(path));
  check(least * sizeof(float) <= 2 * bytes, Exit::checkpoint, "its config describes a model of at least ",
        least, " parameters, more than its ", bytes, " bytes can hold");
}

}  // namespace

void save_checkpoint(const std::string& path, const CheckpointParts& parts, FileCalls calls,
                     int64_t memory_limit) {
  const std::vector<NamedParameter> parameters = parts.model.parameters();
  check_finite(parameters, path);
  VerifiedWriter writer(path, kCheckpointFile, expected_bytes(parameters, parts.optimizer), std::move(calls),
                        memory_limit);
  Hdf5File& file = writer.hdf5();
  file.write_text("config", parts.config);
  for (const auto& [name, parameter] : parameters) write_tensor(file, "model/" + name, parameter.value());
  if (!parts.gpt2_config.empty()) file.write_text("gpt2_config", parts.gpt2_config);
  if (parts.optimizer != nullptr) write_optimizer(file, *parts.optimizer);
  write_state(file, parts.state);
  write_history(file, parts.state.history);
  write_tokenizer(file, parts.tokenizer);
  writer.commit();
}

Checkpoint::Checkpoint(const std::string& path) : Checkpoint(path, open_verified(path, kCheckpointFile)) {}

Checkpoint::Checkpoint(const std::string& path, VerifiedFile file)
    : path_(path), file_(std::move(file.hdf5)), sha256_(std::move(file.sha256)) {}

const Config& Checkpoint::config() const {
  if (config_) return *config_;
  return as_checkpoint(path_, [&]() -> const Config& {
    Config config;
    read_config_text(file_.read_text("config"), "config", run_sections(), config);
    fill_former_options(model_sections(), config);
    return config_.emplace(std::move(config));
  });
}

std::shared_ptr<const Tokenizer> Checkpoint::tokenizer() const {
  return as_checkpoint(path_, [&] { return read_tokenizer(file_, kCheckpointFile.exit); });
}

TrainingState Checkpoint::state() const {
  TrainingState state;
  state.step = file_.read_attribute<int64_t>("state", "step");
  state.tokens = file_.read_attribute<int64_t>("state", "tokens");
  state.best_loss = file_.read_attribute<double>("state", "best_loss");
  state.best_step = file_.read_attribute<int64_t>("state", "best_step");
  state.grad_norm = file_.read_attribute<double>("state", "grad_norm");
  state.unfinished = file_.read_attribute<int64_t>("state", "unfinished") != 0;
  state.since_log.add(file_.read_attribute<double>("state", "since_log_nll"),
                      file_.read_attribute<int64_t>("state", "since_log_tokens"));
  state.seconds = file_.read_attribute<double>("state", "seconds");
  if (file_.has_attribute("state", "tokens_sha256"))
    state.tokens_sha256 = file_.read_attribute<std::string>("state", "tokens_sha256");
  if (file_.has_attribute("state", "teacher_sha256"))
    state.teacher_sha256 = file_.read_attribute<std::string>("state", "teacher_sha256");
  state.history = read_history(file_);
  return state;
}

std::vector<std::string> Checkpoint::faults_of_names(const std::string& group,
                                                     std::set<std::string> wanted) const {
  std::vector<std::string> faults;
  const auto path_of = [&](const std::string& name) {
    return join("'", path_, "': /", group == "/" ? std::string() : group + "/", name);
  };
  for (const std::string& name : file_.list(group)) {
    if (wanted.erase(name) == 0)
      faults.push_back(path_of(name) + " belongs to no part of what its config describes");
  }
  for (const std::string& name : wanted) faults.push_back(path_of(name) + " is missing");
  return faults;
}

void Checkpoint::load_parameters(const Module& model) const {
  std::set<std::string> names;
  for (const NamedParameter& named : model.parameters()) names.insert(named.name);
  const auto faults = faults_of_names("model", names);
  check(faults.empty(), Exit::checkpoint, faults.empty() ? "" : faults.front());
  for (const auto& [name, parameter] : model.parameters())
    read_tensor(file_, "model/" + name, parameter.value());
}

std::map<std::string, Shape> Checkpoint::parameter_shapes() const {
  std::map<std::string, Shape> shapes;
  for (const std::string& name : file_.list("model")) {
    const Hdf5Shape extent = file_.dataset("model/" + name).shape();
    check(extent.size() <= Shape::max_rank, kCheckpointFile.exit, path_, ": /model/", name, " has ",
          extent.size(), " axes");
    Shape& shape = shapes[name];
    for (const int64_t axis : extent) shape = shape.append(axis);
  }
  return shapes;
}

void Checkpoint::read_parameter(const std::string& name, Tensor out) const {
  read_tensor(file_, "model/" + name, out);
}

void Checkpoint::load_optimizer(Optimizer& optimizer) const {
  check(has_optimizer(), Exit::checkpoint, path_,
        " holds weights only, no optimizer: it cannot be resumed, but train.init can start from it");
  for (const NamedTensor& state : optimizer.state())
    read_tensor(file_, "optimizer/" + state.name, state.tensor);
  optimizer.set_steps(file_.read_attribute<int64_t>("optimizer", "steps"));
}

std::unique_ptr<LanguageModel> make_unset_model(const Checkpoint& checkpoint, Device device) {
  return as_checkpoint(checkpoint.path(), [&] {
    const Config config = checkpoint.config();
    const ModelOptions model = config.get(model_options());
    check_fits(model, checkpoint.path());
    return std::make_unique<LanguageModel>(model, config,
                                           ModuleContext{.device = device, .initialise = false});
  });
}

LoadedModel load_model(const std::string& path, Device device) {
  const Checkpoint checkpoint(path);
  LoadedModel loaded;
  loaded.config = checkpoint.config();
  loaded.model = make_unset_model(checkpoint, device);
  checkpoint.load_parameters(*loaded.model);
  loaded.tokenizer = checkpoint.tokenizer();
  loaded.state = checkpoint.state();
  loaded.sha256 = checkpoint.sha256();
  return loaded;
}

}  // namespace tapestry
