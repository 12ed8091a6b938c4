#include "train/state_file.h"

#include <optional>

#include "base/signals.h"
#include "train/stored_values.h"

namespace tapestry {

const FileKind kStateFile{.name = "decoding state", .version = 1, .exit = Exit::input};

namespace {

std::string part_name(size_t layer, const StateRows& part) {
  return join("layers/", layer, "/", part.name());
}

void read_part(const Hdf5File& file, const std::string& name, int64_t position, StateRows& part) {
  const Shape shape{part.kept_at(position).count(), part.width()};
  // Room is made only for what is really there.
  const Hdf5Shape stored = file.dataset(name).shape();
  check((stored == Hdf5Shape{shape[0], shape[1]}), Exit::input, "'", file.path(), "': /", name, " has shape ",
        format_shape(stored), ", the model needs ", shape, " after ", position, " tokens");
  Tensor rows = Tensor::empty(shape);
  file.read<float>(name, stored, rows.mutable_data<float>());
  part.unpack(rows, position);
}

void check_part(const Hdf5File& file, const std::string& name) {
  throw_if_stop_requested();
  const auto values = file.read<float>(name);
  check(file.dataset(name).shape().size() == 2, Exit::input, "'", file.path(), "': /", name,
        " is no table of rows");
  check_finite(values, file, name, Exit::input);
}

}  // namespace

void save_state(const std::string& path, const std::string& checkpoint_sha256, const ReadText& text) {
  require(!text.pending.empty(), "a text is saved with the token that it goes on from");
  VerifiedWriter writer(path, kStateFile, (int64_t{1} << 20) + text.state.used_bytes());
  Hdf5File& file = writer.hdf5();
  file.write_attribute("/", "checkpoint_sha256", checkpoint_sha256);
  file.write_attribute("/", "position", text.state.position());
  file.write<int32_t>("pending", {static_cast<int64_t>(text.pending.size())}, text.pending.data());
  for (size_t layer = 0; layer < text.state.layers().size(); ++layer) {
    for (const StateRows& part : text.state.layers()[layer].parts()) {
      const Tensor rows = part.packed().to(Device::cpu());
      file.write<float>(part_name(layer, part), {rows.dim(0), rows.dim(1)}, rows.data<float>());
    }
  }
  writer.commit();
}

StateFile::StateFile(const std::string& path) : StateFile(open_verified(path, kStateFile)) {}

int64_t StateFile::position() const {
  const auto position = file_.read_attribute<int64_t>("/", "position");
  check(position >= 0, Exit::input, "'", file_.path(), "' has a position of ", position);
  return position;
}

std::vector<int32_t> StateFile::pending() const {
  const auto pending = file_.read<int32_t>("pending");
  check(!pending.empty(), Exit::input, "'", file_.path(), "' has no token to go on from");
  return pending;
}

std::vector<std::string> StateFile::parts() const {
  std::vector<std::string> parts;
  const size_t layers = file_.list("layers").size();
  for (size_t layer = 0; layer < layers; ++layer) {
    const std::string group = join("layers/", layer);
    for (const std::string& part : file_.list(group)) parts.push_back(join(group, "/", part));
  }
  return parts;
}

ReadText load_state(const std::string& path, const std::string& checkpoint_sha256,
                    const LanguageModel& model) {
  const StateFile file(path);
  check(file.checkpoint_sha256() == checkpoint_sha256, Exit::input, "'", path,
        "' was written with another checkpoint, the one with SHA-256 ", file.checkpoint_sha256(),
        "; give that one, or read the text again");
  ReadText text{model.begin_decoding(), file.pending()};
  for (const int32_t token : text.pending)
    check(token >= 0 && token < model.options().vocab_size, Exit::input, "'", path, "' goes on from token ",
          token, ", which the model does not have");
  const int64_t position = file.position();
  for (size_t layer = 0; layer < text.state.layers().size(); ++layer) {
    AttentionState& state = text.state.layers()[layer];
    for (StateRows& part : state.parts()) read_part(file.file(), part_name(layer, part), position, part);
    state.set_position(position);
  }
  return text;
}

void find_state_file_faults(const std::string& path, FaultList& faults) {
  std::optional<StateFile> file;
  if (!faults.run([&] { file.emplace(path); })) return;
  faults.run([&] { file->position(); });
  faults.run([&] { file->pending(); });
  faults.run([&] { file->checkpoint_sha256(); });
  faults.run([&] {
    for (const std::string& part : file->parts()) faults.run([&] { check_part(file->file(), part); });
  });
}

}  // namespace tapestry
