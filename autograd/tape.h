#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace tapestry {

class BackwardStep;

/// A gradient to write: assign when `accumulate` is false, add when it is true.
struct Destination {
  Tensor tensor;
  bool accumulate;
  double beta() const { return accumulate ? 1 : 0; }
  template <class T>
  T* data() {
    return tensor.mutable_data<T>();
  }
};

/// One line of `Tape::report`.
struct TapeEntry {
  std::string op;
  int64_t count = 0;
  /// Each storage is counted once, with the first op that saved it; parameters are not.
  int64_t saved_bytes = 0;
};

/// Records ops while it is the innermost tape of its thread, and runs them backwards. Record order is the
/// order: backward is a loop from the end.
class Tape {
 public:
  /// `random_key` keys the random numbers of this pass (dropout): one per (seed, step, micro-batch).
  explicit Tape(uint64_t random_key = 0, uint64_t first_stream = 0);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The innermost tape alive in this thread, or nullptr.
  static Tape* current();
  /// Whether there is one that is not paused, so that ops record whose inputs need gradients.
  static bool recording();
  /// Whether an op with this input has to record now.
  static bool needs_gradient(const Tensor& input);

  /// A constant as an input whose gradient is wanted: read it with `gradient` after backward.
  Tensor watch(const Tensor& value);
  const Tensor& gradient(const Tensor& watched) const;

  /// Runs backwards from `output`. Its gradient is `seed` (a scalar's: `scale`). Steps are freed as they run.
  void backward(const Tensor& output, double scale = 1);
  /// Moved in, neither is held longer than it is needed.
  void backward(Tensor output, Tensor seed);

  std::vector<TapeEntry> report() const;
  int64_t saved_bytes() const;

  /// A key for the random numbers of the next op that draws some.
  uint64_t next_random_key();
  uint64_t random_key() const { return random_key_; }
  uint64_t next_stream() const { return next_stream_; }

  /// While one is alive, ops are not recorded but draw their random numbers as if they were.
  class Pause {
   public:
    Pause();
    ~Pause();

   private:
    Tape* tape_;
  };

 private:
  friend class BackwardStep;
  using Backward = std::function<void(BackwardStep&)>;
  template <class B>
  friend void record(const char*, std::initializer_list<Tensor>, Tensor&, std::vector<Tensor>, B);
  template <class B>
  friend void record_always(const char*, std::initializer_list<Tensor>, Tensor&, std::vector<Tensor>, B);

  struct Saved {
    Tensor tensor;
    uint64_t version;
  };
  struct Node {
    const char* op;
    std::vector<Tensor> inputs;  // without their storage
    std::vector<Saved> saved;
    Backward backward;
    Device device;
    Gradient gradient;  // of the output
  };

  static bool any_needs_gradient(std::initializer_list<Tensor> inputs);
  void add(const char* op, std::initializer_list<Tensor> inputs, Tensor& output, std::vector<Tensor> saved,
           Backward backward);
  int64_t add_node(Node node, Tensor& output);
  bool reaches(const Tensor& input) const;
  /// Where the gradient of `input` adds up.
  Gradient& slot(const Tensor& input);

  uint64_t id_;
  Tape* outer_;
  uint64_t random_key_;
  uint64_t next_stream_;
  bool paused_ = false;
  std::vector<Node> nodes_;
};

/// What a backward lambda sees: the gradient of its op's output, what was saved, and where to write.
class BackwardStep {
 public:
  /// Gradient of the output, in the output's shape.
  const Tensor& gradient() const { return node_.gradient.value; }
  /// The same, given up by the tape: freed when its last holder lets go, though the step goes on.
  Tensor take_gradient() { return std::exchange(node_.gradient.value, {}); }
  /// Saved tensor `i`; an error if it was changed since it was saved.
  const Tensor& saved(size_t i) const;
  /// The same, given up by the tape.
  Tensor take_saved(size_t i);
  /// Whether input `i` (in the order of `record`) wants a gradient.
  bool needs(size_t i) const;
  /// Where to write the gradient of input `i`. Finish writing before asking for another input's.
  Destination into(size_t i);
  /// Hands over a finished gradient of input `i`: kept as it is by the first writer, added by later ones. The
  /// same tensor may go to several inputs; whoever adds to it later copies it first.
  void add(size_t i, Tensor addend);

 private:
  friend class Tape;
  BackwardStep(Tape& tape, Tape::Node& node) : tape_(tape), node_(node) {}
  Tape& tape_;
  Tape::Node& node_;
};

/// Records an op on the innermost tape if an input needs a gradient; undefined inputs are skipped. `backward`
/// may capture plain numbers only; tensors go in `saved`, so that the bytes that a tape holds can be counted.
template <class B>
void record(const char* op, std::initializer_list<Tensor> inputs, Tensor& output, std::vector<Tensor> saved,
            B backward) {
  static_assert(std::is_trivially_copyable_v<B>, "a backward step captures plain numbers only: save tensors");
  if (Tape::any_needs_gradient(inputs)) Tape::current()->add(op, inputs, output, std::move(saved), backward);
}

/// The same for an op that also reaches parameters which are not among its inputs.
template <class B>
void record_always(const char* op, std::initializer_list<Tensor> inputs, Tensor& output,
                   std::vector<Tensor> saved, B backward) {
  static_assert(std::is_trivially_copyable_v<B>, "a backward step captures plain numbers only: save tensors");
  Tape* tape = Tape::current();
  if (tape && !tape->paused_) tape->add(op, inputs, output, std::move(saved), backward);
}

/// dst += src, of the same size.
void add_in_place(Tensor& dst, const Tensor& src);

}  // namespace tapestry
