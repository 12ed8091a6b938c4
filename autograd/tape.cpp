#include "autograd/tape.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_set>

#include "autograd/memory.h"
#include "autograd/parameter.h"
#include "autograd/random.h"

namespace tapestry {
namespace {

thread_local Tape* innermost = nullptr;
std::atomic<uint64_t> next_id = 1;

/// Makes the gradient safe to add to: nobody else may hold its storage.
void own(Tensor& gradient) {
  if (gradient.storage().use_count() > 1) gradient = gradient.clone();
}

}  // namespace

Tape::Tape(uint64_t random_key, uint64_t first_stream)
    : id_(next_id++), outer_(innermost), random_key_(random_key), next_stream_(first_stream) {
  innermost = this;
}

Tape::~Tape() { innermost = outer_; }

Tape* Tape::current() { return innermost; }

Tape::Pause::Pause() : tape_(innermost && !innermost->paused_ ? innermost : nullptr) {
  if (tape_) tape_->paused_ = true;
}

Tape::Pause::~Pause() {
  if (tape_) tape_->paused_ = false;
}

uint64_t Tape::next_random_key() { return combine_keys(random_key_, next_stream_++); }

bool Tape::reaches(const Tensor& input) const {
  if (input.gradient_) return !input.gradient_->frozen;
  return input.node_ >= 0 && input.tape_ == id_;
}

bool Tape::recording() { return innermost && !innermost->paused_; }

bool Tape::needs_gradient(const Tensor& input) { return recording() && innermost->reaches(input); }

bool Tape::any_needs_gradient(std::initializer_list<Tensor> inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) { return needs_gradient(input); });
}

int64_t Tape::add_node(Node node, Tensor& output) {
  node.device = output.device();
  node.gradient.shape = output.shape();
  nodes_.push_back(std::move(node));
  output.gradient_ = nullptr;
  output.tape_ = id_;
  output.node_ = static_cast<int64_t>(nodes_.size()) - 1;
  return output.node_;
}

void Tape::add(const char* op, std::initializer_list<Tensor> inputs, Tensor& output,
               std::vector<Tensor> saved, Backward backward) {
  Node node{op, {}, {}, std::move(backward), {}, {}};
  for (Tensor input : inputs) {
    // The node needs to know where the gradient goes, not the values.
    input.storage_ = nullptr;
    node.inputs.push_back(std::move(input));
  }
  for (Tensor& tensor : saved) {
    const uint64_t version = tensor.defined() ? tensor.storage()->version() : 0;
    node.saved.push_back({std::move(tensor), version});
  }
  add_node(std::move(node), output);
}

Tensor Tape::watch(const Tensor& value) {
  Tensor watched = value.detach();
  add_node({"watch", {}, {}, nullptr, {}, {}}, watched);
  return watched;
}

const Tensor& Tape::gradient(const Tensor& watched) const {
  require(watched.tape_ == id_ && watched.node_ >= 0, "this tensor is not on this tape");
  const Gradient& gradient = nodes_[watched.node_].gradient;
  require(gradient.written, "no gradient has reached this tensor");
  return gradient.value;
}

Gradient& Tape::slot(const Tensor& input) {
  return input.gradient_ ? *input.gradient_ : nodes_[input.node_].gradient;
}

void Tape::backward(const Tensor& output, double scale) {
  require(output.size() == 1, "backward from ", output.shape(), " needs a gradient to start from");
  backward(output, Tensor::full(output.shape(), scale, output.dtype(), output.device()));
}

void Tape::backward(Tensor output, Tensor seed) {
  require(output.tape_ == id_ && output.node_ >= 0, "backward from a tensor that this tape has not recorded");
  require(seed.size() == output.size() && seed.dtype() == output.dtype(), "the gradient to start from is ",
          name_of(seed.dtype()), seed.shape(), ", the output ", name_of(output.dtype()), output.shape());
  Pause pause;  // backward lambdas may call ops; those are not recorded
  const int64_t last = output.node_;
  Gradient& start = nodes_[last].gradient;
  start.value = seed.reshape(start.shape);
  start.written = true;
  output = seed = {};
  for (int64_t i = last; i >= 0; --i) {
    Node& node = nodes_[i];
    if (!node.backward) continue;
    if (node.gradient.written) {
      BackwardStep step(*this, node);
      node.backward(step);
    }
    node.saved.clear();
    node.gradient = {};
    // A parameter's gradient outlives the tape, and the optimizer changes it in place.
    for (const Tensor& input : node.inputs) {
      if (input.gradient_ && input.gradient_->written) own(input.gradient_->value);
    }
    node.inputs.clear();
    node.backward = nullptr;
  }
}

std::vector<TapeEntry> Tape::report() const {
  std::map<std::string, TapeEntry> entries;
  std::unordered_set<const Storage*> seen;
  for (const Node& node : nodes_) {
    TapeEntry& entry = entries[node.op];
    entry.op = node.op;
    ++entry.count;
    for (const Saved& saved : node.saved) {
      if (!saved.tensor.defined() || saved.tensor.gradient_) continue;
      if (seen.insert(saved.tensor.storage().get()).second)
        entry.saved_bytes += saved.tensor.storage()->bytes();
    }
  }
  std::vector<TapeEntry> sorted;
  for (auto& [op, entry] : entries) sorted.push_back(entry);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const TapeEntry& a, const TapeEntry& b) { return a.saved_bytes > b.saved_bytes; });
  return sorted;
}

int64_t Tape::saved_bytes() const {
  int64_t bytes = 0;
  for (const TapeEntry& entry : report()) bytes += entry.saved_bytes;
  return bytes;
}

const Tensor& BackwardStep::saved(size_t i) const {
  const Tape::Saved& saved = node_.saved.at(i);
  require(!saved.tensor.defined() || saved.tensor.storage()->version() == saved.version, "a tensor that ",
          node_.op, " saved for its gradient was changed in place before backward");
  return saved.tensor;
}

Tensor BackwardStep::take_saved(size_t i) {
  saved(i);
  return std::exchange(node_.saved[i].tensor, {});
}

bool BackwardStep::needs(size_t i) const { return tape_.reaches(node_.inputs.at(i)); }

Destination BackwardStep::into(size_t i) {
  const Tensor& input = node_.inputs.at(i);
  auto& [gradient, written, shape, frozen] = tape_.slot(input);
  if (written) {
    own(gradient);
  } else if (!gradient.defined() || gradient.storage().use_count() > 1) {
    gradient = Tensor::empty(shape, input.dtype(), node_.device);
  }
  return {gradient.reshape(input.shape()), std::exchange(written, true)};
}

void BackwardStep::add(size_t i, Tensor addend) {
  const Tensor& input = node_.inputs.at(i);
  auto& [gradient, written, shape, frozen] = tape_.slot(input);
  if (written) {
    own(gradient);
    add_in_place(gradient, addend);
  } else {
    gradient = addend.reshape(shape);
    written = true;
  }
}

void add_in_place(Tensor& dst, const Tensor& src) {
  require(dst.size() == src.size() && dst.dtype() == src.dtype(), "cannot add ", src.shape(), " to ",
          dst.shape());
  for_float(dst.dtype(), [&]<class T>(T) {
    LAUNCH(dst.device(), add_to<T>(dst.mutable_data<T>(), src.data<T>(), dst.size()));
  });
}

}  // namespace tapestry
