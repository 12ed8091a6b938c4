#include "autograd/ops/retrieve_states.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/gemm.h"
#include "autograd/ops/chunks.h"
#include "autograd/ops/softmax.h"
#include "autograd/tape.h"
#include "base/parallel.h"

namespace tapestry {
namespace {

/// N rows for each sequence and head: how far apart rows, sequences and heads lie.
struct Rows {
  int64_t width, row, sequence, head;
};

struct Retrieval {
  int64_t batch, n_head, chunks, head_width, state_size;
  double scale;
  int64_t topk;

  Rows vectors() const {  // of r and h [B, N, H d]
    const int64_t width = n_head * head_width;
    return {head_width, width, chunks * width, head_width};
  }
  Rows states() const {  // of states [B, H, N, size]
    const int64_t in_head = chunks * state_size;
    return {state_size, state_size, n_head * in_head, in_head};
  }

  static constexpr int64_t block_rows = 64;
  int64_t blocks() const { return ceil_div(chunks, block_rows); }
  ScoreBlock block(int64_t i) const {
    const int64_t first = i * block_rows, end = std::min(chunks, first + block_rows);
    return {batch * n_head, first, end - first, end};
  }
  Tensor scores(const ScoreBlock& b, const Tensor& like) const {
    return Tensor::empty({b.heads, b.rows, b.columns}, like.dtype(), like.device());
  }
  Rows of_scores(const ScoreBlock& b) const {
    return {b.columns, b.columns, n_head * b.rows * b.columns, b.rows * b.columns};
  }
  std::array<Gemm::Batch, 3> over(Rows a, Rows b, Rows c) const {
    return {Gemm::Batch{batch, a.sequence, b.sequence, c.sequence},
            Gemm::Batch{n_head, a.head, b.head, c.head}};
  }

  /// scores = alpha x y^T, x in the rows and y in the columns of the block.
  template <class T>
  void outer(const ScoreBlock& b, Rows of, double alpha, const Tensor& x, const Tensor& y, Tensor& scores,
             Precision precision = product_precision()) const {
    Gemm g{.m = b.rows, .n = b.columns, .k = of.width, .transpose_b = true, .alpha = alpha};
    g.precision = precision;
    g.lda = g.ldb = of.row;
    g.batch = over(of, of, of_scores(b));
    LAUNCH(x.device(), gemm<T>(g, x.data<T>() + b.first * of.row, y.data<T>(), scores.mutable_data<T>()));
  }
  /// x = alpha scores y in the rows of the block.
  template <class T>
  void mix(const ScoreBlock& b, Rows of, double alpha, const Tensor& scores, const Tensor& y,
           Tensor& x) const {
    Gemm g{.m = b.rows, .n = of.width, .k = b.columns, .alpha = alpha};
    g.ldb = g.ldc = of.row;
    g.batch = over(of_scores(b), of, of);
    LAUNCH(y.device(), gemm<T>(g, scores.data<T>(), y.data<T>(), x.mutable_data<T>() + b.first * of.row));
  }
  /// y (+)= alpha scores^T x in the columns of the block. The last block has all columns and comes first.
  template <class T>
  void mix_back(const ScoreBlock& b, Rows of, double alpha, const Tensor& scores, const Tensor& x,
                Tensor& y) const {
    Gemm g{.m = b.columns, .n = of.width, .k = b.rows, .transpose_a = true, .alpha = alpha};
    g.beta = b.columns == chunks ? 0 : 1;
    g.ldb = g.ldc = of.row;
    g.batch = over(of_scores(b), of, of);
    LAUNCH(x.device(), gemm<T>(g, scores.data<T>(), x.data<T>() + b.first * of.row, y.mutable_data<T>()));
  }
  template <class T>
  Tensor weights(const ScoreBlock& b, const Tensor& r, const Tensor& h) const {
    Tensor p = scores(b, r);
    outer<T>(b, vectors(), scale, r, h, p, kChoicePrecision);
    LAUNCH(p.device(), retrieval_weights<T>(b, p.mutable_data<T>(), topk));
    return p;
  }
};

template <class T>
void backward(const Retrieval& s, BackwardStep& step) {
  const Tensor &r = step.saved(0), &h = step.saved(1), &states = step.saved(2), &dmixed = step.gradient();
  Tensor dr = Tensor::empty_like(r), dh = Tensor::empty_like(h), dstates = Tensor::empty_like(states);
  for (int64_t i = s.blocks() - 1; i >= 0; --i) {
    const ScoreBlock b = s.block(i);
    const Tensor p = s.weights<T>(b, r, h);
    s.mix_back<T>(b, s.states(), 1, p, dmixed, dstates);
    Tensor ds = s.scores(b, r);
    s.outer<T>(b, s.states(), 1, dmixed, states, ds);
    T* in_place = ds.mutable_data<T>();
    LAUNCH(r.device(),
           softmax_backward<T>(p.data<T>(), in_place, in_place, b.heads * b.rows, b.columns, false));
    s.mix<T>(b, s.vectors(), s.scale, ds, h, dr);
    s.mix_back<T>(b, s.vectors(), s.scale, ds, r, dh);
  }
  if (step.needs(0)) step.add(0, dr);
  if (step.needs(1)) step.add(1, dh);
  if (step.needs(2)) step.add(2, dstates);
}

}  // namespace

Tensor retrieve_states(const Tensor& r, const Tensor& h, const Tensor& states, double scale, int64_t topk) {
  require(r.rank() == 3 && r.shape() == h.shape() && states.rank() >= 3 && states.size() > 0 &&
              states.dim(0) == r.dim(0) && states.dim(2) == r.dim(1) && r.dim(2) % states.dim(1) == 0,
          "retrieve_states: r ", r.shape(), " and h ", h.shape(), " against states ", states.shape());
  require(topk >= 1, "retrieve_states: topk = ", topk, " retrieves nothing");
  const int64_t heads = states.dim(0) * states.dim(1), chunks = states.dim(2);
  const Retrieval s{
      states.dim(0), states.dim(1), chunks, r.dim(2) / states.dim(1), states.size() / (heads * chunks),
      scale,         topk};
  Tensor mixed = Tensor::empty_like(states);
  for_float(r.dtype(), [&]<class T>(T) {
    for (int64_t i = 0; i < s.blocks(); ++i) {
      const ScoreBlock b = s.block(i);
      s.mix<T>(b, s.states(), 1, s.weights<T>(b, r, h), states, mixed);
    }
  });
  record("retrieve_states", {r, h, states}, mixed, {r, h, states}, [s](BackwardStep& step) {
    for_float(step.gradient().dtype(), [&]<class T>(T) { backward<T>(s, step); });
  });
  return mixed;
}

Tensor retrieve_next_states(const Tensor& r, const Tensor& h, const Tensor& states, int64_t count,
                            int64_t n_head, double scale, int64_t topk) {
  const int64_t width = h.dim(-1), row = states.dim(-1), d = width / n_head, size = row / n_head;
  const int64_t rows = r.shape().rows(), columns = count + rows - 1;
  require(r.dim(-1) == width && width % n_head == 0 && row % n_head == 0 && count >= 1 && topk >= 1 &&
              columns <= h.dim(0) && columns <= states.dim(0),
          "retrieve_next_states: r ", r.shape(), " after ", count, " chunks, h ", h.shape(), " and states ",
          states.shape(), " with ", n_head, " heads");
  Tensor weights = Tensor::empty({n_head, rows, columns}, r.dtype(), r.device());
  Tensor mixed = Tensor::empty({rows, row}, r.dtype(), r.device());
  Gemm score{.m = rows, .n = columns, .k = d, .transpose_b = true, .alpha = scale, .lda = width};
  score.ldb = width;
  score.precision = kChoicePrecision;
  score.batch[0] = {n_head, d, d, rows * columns};
  Gemm mix{.m = rows, .n = size, .k = columns, .ldb = row, .ldc = row};
  mix.batch[0] = {n_head, rows * columns, size, size};
  for_float(r.dtype(), [&]<class T>(T) {
    T* p = weights.mutable_data<T>();
    LAUNCH(r.device(), gemm<T>(score, r.data<T>(), h.data<T>(), p));
    LAUNCH(r.device(), retrieval_weights<T>({n_head, count - 1, rows, columns}, p, topk));
    LAUNCH(r.device(), gemm<T>(mix, p, states.data<T>(), mixed.mutable_data<T>()));
  });
  return mixed;
}

namespace cpu {
namespace {

struct Candidate {
  double key;
  int64_t chunk;
};

/// Leaves the topk scores of largest key and makes the others -infinity.
template <class T>
void pick(T* scores, int64_t n, int64_t topk, std::vector<Candidate>& candidates) {
  candidates.resize(n);
  for (int64_t j = 0; j < n; ++j) {
    const double key = scores[j] + kTieBreak * static_cast<double>(j);
    candidates[j] = {std::isnan(key) ? INFINITY : key,
                     j};  // an order for nth_element, and the NaN stays in sight
  }
  const auto better = [](const Candidate& a, const Candidate& b) { return a.key > b.key; };
  std::nth_element(candidates.begin(), candidates.begin() + topk, candidates.end(), better);
  for (int64_t i = topk; i < n; ++i) scores[candidates[i].chunk] = -std::numeric_limits<T>::infinity();
}

}  // namespace

template <class T>
void retrieval_weights(const ScoreBlock& block, T* scores, int64_t topk) {
  parallel_for(block.heads * block.rows, 8, [=](int64_t begin, int64_t end) {
    std::vector<Candidate> candidates;
    for (int64_t row = begin; row < end; ++row) {
      T* s = scores + row * block.columns;
      const int64_t readable = block.first + row % block.rows + 1;
      if (topk < readable) pick(s, readable, topk, candidates);
      softmax_forward(s, s, 1, readable);
      std::fill(s + readable, s + block.columns, T(0));
    }
  });
}

template void retrieval_weights(const ScoreBlock&, float*, int64_t);
template void retrieval_weights(const ScoreBlock&, double*, int64_t);

}  // namespace cpu
}  // namespace tapestry
