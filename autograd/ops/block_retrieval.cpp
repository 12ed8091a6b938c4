#include "autograd/ops/block_retrieval.h"

#include "autograd/ops/block_read.h"
#include "autograd/ops/softmax_attention.h"
#include "autograd/tape.h"

namespace tapestry {
namespace {

void check_shapes(const TokenScores& local, const TokenScores& remote, const Tensor& v, const Tensor& r,
                  const Tensor& h, const Tensor& gain, const BlockRetrieval& x) {
  const Shape shape = local.q.shape();
  require(shape.rank() == 3 && local.k.shape() == shape && v.shape() == shape && r.shape() == shape,
          "block_retrieval: q ", shape, ", k ", local.k.shape(), ", v ", v.shape(), " and r ", r.shape(),
          " must be one shape [B, T, C]");
  require(remote.q.defined() == remote.k.defined() &&
              (!remote.q.defined() || (remote.q.shape() == shape && remote.k.shape() == shape)),
          "block_retrieval: remote q and k must both be ", shape, ", or neither defined");
  require(x.n_head >= 1 && shape[2] % x.n_head == 0, "block_retrieval: ", x.n_head,
          " heads do not divide width ", shape[2]);
  require(x.block >= 1 && x.chunk >= 1 && x.chunk % x.block == 0, "block_retrieval: blocks of ", x.block,
          " tokens must divide a chunk of ", x.chunk);
  require(x.heads >= 1 && x.topk >= 0 && x.overlap >= 0 && x.sink >= 0,
          "block_retrieval: heads must be at least 1, topk, overlap and sink at least 0");
  require(x.score_bias || !x.hierarchical, "block_retrieval: hierarchical weights need score_bias");
  const Shape summaries{shape[0], finished_chunks(shape[1], x.block), shape[2]};
  require(h.shape() == summaries, "block_retrieval: h ", h.shape(), " must be ", summaries);
  require(!gain.defined() || (x.score_bias && gain.shape() == Shape{x.n_head}), "block_retrieval: a gain ",
          gain.shape(), " needs score_bias and one number for each of ", x.n_head, " heads");
}

RetrievalShape retrieval_shape(const Tensor& q, const BlockRetrieval& x, int64_t past) {
  RetrievalShape s{.batch = q.dim(0),
                   .tokens = q.dim(1),
                   .n_head = x.n_head,
                   .retrieving = std::min(x.heads, x.n_head),
                   .head_width = q.dim(2) / x.n_head,
                   .scale = x.scale,
                   .hierarchical = x.hierarchical,
                   .chunk = x.chunk,
                   .block = x.block,
                   .overlap = x.overlap,
                   .sink = x.sink,
                   .past = past};
  s.slots = std::min(x.topk, s.blocks());
  return s;
}

AttentionShape local_shape(const RetrievalShape& s, int64_t gap = 0) {
  return {s.batch, s.tokens, s.n_head, s.head_width, s.scale, {s.chunk, s.overlap, s.sink}, s.past, gap};
}

/// What block_retrieval saves, in this order; the inputs come first.
enum Saved { kQ, kK, kRemoteQ, kRemoteK, kV, kR, kH, kGain, kOutput, kLse, kBlocks, kScores };

template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

template <class T>
void backward(BackwardStep& step, const RetrievalShape& s) {
  const Tensor &q = step.saved(kQ), &k = step.saved(kK), &v = step.saved(kV), &lse = step.saved(kLse);
  const Tensor &r = step.saved(kR), &h = step.saved(kH), &gain = step.saved(kGain),
               &scores = step.saved(kScores);
  const bool apart = step.saved(kRemoteQ).defined();
  const Tensor &remote_q = apart ? step.saved(kRemoteQ) : q, &remote_k = apart ? step.saved(kRemoteK) : k;
  const T* dout = step.gradient().data<T>();
  const Device device = q.device();

  // D and lse are those of the whole softmax, so local and retrieved keys have their gradients apart.
  Tensor D = Tensor::empty_like(lse);
  LAUNCH(device, head_dots<T>(local_shape(s), step.take_saved(kOutput).data<T>(), dout, D.mutable_data<T>()));
  Tensor dq = Tensor::empty_like(q), dk = Tensor::empty_like(k), dv = Tensor::empty_like(v);
  LAUNCH(device, softmax_attention_backward<T>(local_shape(s), q.data<T>(), k.data<T>(), v.data<T>(),
                                               lse.data<T>(), D.data<T>(), dout, dq.mutable_data<T>(),
                                               dk.mutable_data<T>(), dv.mutable_data<T>()));
  Tensor remote_dq, remote_dk;
  if (apart) {
    remote_dq = Tensor::zeros(q.shape(), q.dtype(), device);
    remote_dk = Tensor::zeros(k.shape(), k.dtype(), device);
  }
  BlockReadGradient<T> grad{.lse = lse.data<T>(), .D = D.data<T>(), .dout = dout};
  grad.dq = (apart ? remote_dq : dq).mutable_data<T>();
  grad.dk = (apart ? remote_dk : dk).mutable_data<T>();
  grad.dv = dv.mutable_data<T>();
  Tensor dr, dh, dgain;
  if (scores.defined()) {
    dr = Tensor::zeros(r.shape(), r.dtype(), device);
    dh = Tensor::zeros(h.shape(), h.dtype(), device);
    grad.r = r.data<T>();
    grad.h = h.data<T>();
    grad.dr = dr.mutable_data<T>();
    grad.dh = dh.mutable_data<T>();
  }
  if (gain.defined()) {
    dgain = Tensor::empty_like(gain);
    grad.dgain = dgain.mutable_data<T>();
  }
  const BlockRead<T> in{
      remote_q.data<T>(),      remote_k.data<T>(),   v.data<T>(), step.saved(kBlocks).data<int32_t>(),
      data_or_null<T>(scores), data_or_null<T>(gain)};
  LAUNCH(device, block_read_backward<T>(s, in, grad));

  const Tensor gradients[] = {dq, dk, remote_dq, remote_dk, dv, dr, dh, dgain};
  for (size_t i = 0; i < std::size(gradients); ++i) {
    if (gradients[i].defined() && step.needs(i)) step.add(i, gradients[i]);
  }
}

/// What the forward pass makes, and some of it saves.
struct Forward {
  Tensor o, lse, blocks, scores;  // scores undefined without score_bias
};

Forward forward(const RetrievalShape& s, const Tensor& q, const KeptKeys& local, const TokenScores& remote,
                const Tensor& v, const Tensor& r, const Tensor& h, const Tensor& gain, bool score_bias) {
  const Shape slots{s.batch, s.retrieving, s.tokens, s.slots};
  Forward f{Tensor::empty_like(q), Tensor::empty({s.batch, s.n_head, s.tokens}, q.dtype(), q.device()),
            Tensor::empty(slots, DType::int32, q.device()), Tensor::empty(slots, q.dtype(), q.device())};
  for_float(q.dtype(), [&]<class T>(T) {
    LAUNCH(q.device(), select_blocks<T>(s, r.data<T>(), h.data<T>(), f.blocks.mutable_data<int32_t>(),
                                        f.scores.mutable_data<T>()));
    if (!score_bias) f.scores = {};
    T *o = f.o.mutable_data<T>(), *lse = f.lse.mutable_data<T>();
    LAUNCH(q.device(), softmax_attention_forward<T>(local_shape(s, local.gap), q.data<T>(), local.k.data<T>(),
                                                    local.v.data<T>(), o, lse));
    const BlockRead<T> in{remote.q.data<T>(),       remote.k.data<T>(),        v.data<T>(),
                          f.blocks.data<int32_t>(), data_or_null<T>(f.scores), data_or_null<T>(gain)};
    LAUNCH(q.device(), block_read_forward<T>(s, in, o, lse));
  });
  return f;
}

}  // namespace

Tensor block_retrieval(const TokenScores& local, const TokenScores& remote, const Tensor& v, const Tensor& r,
                       const Tensor& h, const Tensor& gain, const BlockRetrieval& x) {
  check_shapes(local, remote, v, r, h, gain, x);
  const auto& [q, k] = local;
  const RetrievalShape s = retrieval_shape(q, x, 0);
  if (s.slots == 0) return softmax_attention(q, k, v, x.n_head, x.scale, {x.chunk, x.overlap, x.sink});

  Forward f = forward(s, q, {k, v, 0, 0}, remote.q.defined() ? remote : local, v, r, h, gain, x.score_bias);
  const Tensor saved_r = x.score_bias ? r : Tensor(), saved_h = x.score_bias ? h : Tensor();
  record("block_retrieval", {q, k, remote.q, remote.k, v, r, h, gain}, f.o,
         {q, k, remote.q, remote.k, v, saved_r, saved_h, gain, f.o, f.lse, f.blocks, f.scores},
         [s](BackwardStep& step) {
           for_float(step.gradient().dtype(), [&]<class T>(T) { backward<T>(step, s); });
         });
  return f.o;
}

Tensor continue_block_retrieval(const Tensor& q, const KeptKeys& local, const TokenScores& remote,
                                const Tensor& v, const Tensor& r, const Tensor& h, const Tensor& gain,
                                const BlockRetrieval& x) {
  const RetrievalShape s = retrieval_shape(q, x, local.past);
  if (s.slots == 0)
    return continue_softmax_attention(q, local, x.n_head, x.scale, {x.chunk, x.overlap, x.sink});
  require(q.dim(0) == 1 && remote.q.shape() == q.shape() && r.shape() == q.shape() &&
              remote.k.shape() == v.shape() && v.dim(-1) == q.dim(2) && local.past + q.dim(1) <= v.dim(0) &&
              s.blocks() <= h.dim(0),
          "continue_block_retrieval: q ", q.shape(), " after ", local.past, " tokens against k ",
          remote.k.shape(), ", v ", v.shape(), " and h ", h.shape());
  return forward(s, q, local, remote, v, r, h, gain, x.score_bias).o;
}

}  // namespace tapestry
