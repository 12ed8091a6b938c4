#include "layers/attention/bsbr_options.h"

#include <algorithm>
#include <limits>

namespace tapestry {
namespace {

int64_t count_in(const std::string& text, int64_t least = 0) {
  int64_t count = 0;
  parse_value(text, at_least(static_cast<double>(least)), count);
  return count;
}

}  // namespace

const OptionTable<BsbrOptions>& bsbr_options() {
  using O = BsbrOptions;
  static const auto table =
      OptionTable<O>("bsbr", "block sparse attention with block retrieval")
          .add(
              "read", &O::read,
              "what is read of earlier chunks: the tokens of blocks that every token picks, or states, mixed "
              "once a chunk",
              one_of({"tokens", "state"}))
          .add("chunk", &O::chunk, "tokens of a chunk", at_least(1))
          .add("topk", &O::topk,
               "blocks, with read = state chunks, retrieved at a time, a number or all; 0: local attention "
               "only; auto: as many blocks as two chunks hold, with read = state all")
          .add("overlap", &O::overlap,
               "tokens before its chunk that a token also reads locally; auto: one chunk, 0 with preset = "
               "literal")
          .add("sink", &O::sink, "first tokens of the sequence that every token reads locally", at_least(0))
          .add("block", &O::block,
               "read = tokens: tokens that are retrieved together, a divisor of chunk, or chunk itself; "
               "auto: 8, or a chunk where 8 does not divide it")
          .add("keys", &O::keys,
               "what blocks are found by: projections of their own, or with read = tokens q and the "
               "mean of k; auto: shared where they can be",
               one_of({"auto", "own", "shared"}))
          .add(
              "score_bias", &O::score_bias,
              "read = tokens: the retrieval score says, beside the scores of the block's tokens, how much of "
              "it is read; head: times a learned factor a head; off: it only chooses",
              one_of({"off", "on", "head"}))
          .add(
              "softmax", &O::softmax,
              "read = tokens: hierarchical, the retrieval score is the weight of the block, which its tokens "
              "share by their own; flat, it is added to theirs; auto: hierarchical, flat with score_bias = "
              "off",
              one_of({"auto", "hierarchical", "flat"}))
          .add("retrieval_heads", &O::retrieval_heads,
               "read = tokens: heads that read retrieved tokens, the last ones, a number or all; the "
               "others read locally; auto: a quarter of them, rounded up")
          .add("retrieved_positions", &O::retrieved_positions,
               "read = tokens: how rotary positions turn what is retrieved: edge, every token as if it were "
               "just out of local reach; own, each by its own position",
               one_of({"edge", "own"}))
          .add("state_scale", &O::state_scale,
               "read = state: sum or mean over the chunk's tokens; auto: mean, none with preset = "
               "literal",
               one_of({"auto", "none", "mean"}))
          .add("feature_map", &O::feature_map, "read = state: of q and k",
               one_of({"identity", "elu1", "softmax"}))
          .add("normalise", &O::normalise,
               "read = state: divide by the summed weights; needs elu1 or softmax")
          .add("eps", &O::eps, "added to those sums", at_least(0))
          .add("read_norm", &O::read_norm,
               "read = state: RMS norm a head of what is read, in place of a scale", one_of({"none", "rms"}))
          .add("gate", &O::gate,
               "read = state: a learned factor a head, from 0, of what is read; auto: head, none "
               "with preset = literal",
               one_of({"auto", "none", "head"}))
          .add("compression", &O::compression,
               "read = state: numbers that a state is compressed to by a learned map; 0: off", at_least(0))
          .add("preset", &O::preset,
               "literal: the published formula of read = state, unscaled states without a gate; keys given "
               "explicitly win",
               one_of({"none", "literal"}))
          .formerly("softmax", "flat")
          .formerly("retrieved_positions", "own")
          .per_layer();
  return table;
}

int64_t BsbrOptions::block_size() const {
  if (block == "auto") return chunk % 8 == 0 ? 8 : chunk;
  return block == "chunk" ? chunk : count_in(block, 1);
}

int64_t BsbrOptions::retrieved() const {
  if (topk == "all" || (topk == "auto" && !reads_tokens())) return std::numeric_limits<int64_t>::max();
  return topk == "auto" ? 2 * chunk / block_size() : count_in(topk);
}

int64_t BsbrOptions::reach() const {
  if (overlap == "auto") return preset == "literal" ? 0 : chunk;
  return count_in(overlap);
}

int64_t BsbrOptions::retrieving(int64_t n_head) const {
  if (retrieval_heads == "auto") return (n_head + 3) / 4;
  return retrieval_heads == "all" ? n_head : std::min(count_in(retrieval_heads, 1), n_head);
}

double BsbrOptions::keys_read_share(int64_t tokens, int64_t n_head) const {
  const double heads = static_cast<double>(retrieving(n_head)) / static_cast<double>(n_head);
  const int64_t retrieved_keys = std::min(retrieved(), tokens / block_size()) * block_size(),
                near = reach() + sink;
  double read = 0, all = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t remote = std::max<int64_t>(t / chunk * chunk - near, 0);
    read +=
        static_cast<double>(t + 1 - remote) + heads * static_cast<double>(std::min(remote, retrieved_keys));
    all += static_cast<double>(t + 1);
  }
  return read / all;
}

CoreCost BsbrOptions::cost(const CoreShape& shape) const {
  const auto T = static_cast<double>(shape.tokens), C = static_cast<double>(shape.n_embd);
  const double d = C / static_cast<double>(shape.n_head), c = static_cast<double>(chunk), chunks = T / c;
  const double near = std::min(static_cast<double>(reach() + sink), T);
  const double local = 4 * C * T * ((std::min(c, T) + 1) / 2 + near);
  if (reads_tokens() || retrieved() == 0) {
    const auto b = static_cast<double>(block_size());
    const double topk = std::min(static_cast<double>(retrieved()), T / b);
    const double width = static_cast<double>(retrieving(shape.n_head)) * d;  // of the heads that retrieve
    const double remote = retrieved() > 0 ? width * T * (T / b + 4 * topk * b) : 0;
    return {local + remote, keys_read_share(shape.tokens, shape.n_head)};
  }
  BsbrOptions local_part = *this;  // states are no keys
  local_part.topk = "0";
  const auto m = static_cast<double>(compression);
  const double states = 4 * T * C * d;
  const double mixing = compression == 0 ? chunks * chunks * (C + C * d)
                                         : chunks * chunks * (C + C / d * m) + 4 * chunks * C * d * m;
  return {local + states + mixing, local_part.keys_read_share(shape.tokens, shape.n_head)};
}

bool BsbrOptions::state_means() const {
  return state_scale == "mean" || (state_scale == "auto" && preset != "literal");
}

bool BsbrOptions::gated() const { return gate == "head" || (gate == "auto" && preset != "literal"); }

const BsbrOptions& check_bsbr_options(const BsbrOptions& o) {
  std::string faults;
  const auto reject = [&faults](bool wrong, const std::string& fault) {
    if (wrong) faults += (faults.empty() ? "" : "; ") + fault;
  };
  const auto reject_unless = [&](const auto& succeeds, const std::string& fault) {
    try {
      succeeds();
    } catch (const Error&) {
      reject(true, fault);
    }
  };
  const auto block_divides_chunk = [&] { check(o.chunk % o.block_size() == 0, Exit::usage, ""); };
  reject_unless(block_divides_chunk,
                "bsbr.block = " + o.block +
                    " is neither auto, chunk nor a divisor of bsbr.chunk = " + std::to_string(o.chunk));
  reject_unless([&] { return o.topk == "auto" ? 0 : o.retrieved(); },
                "bsbr.topk = " + o.topk + " is neither a number from 0 on nor all or auto");
  reject_unless([&] { return o.reach(); },
                "bsbr.overlap = " + o.overlap + " is neither a number from 0 on nor auto");
  reject_unless([&] { return o.retrieving(1); }, "bsbr.retrieval_heads = " + o.retrieval_heads +
                                                     " is neither a number from 1 on nor all or auto");
  reject(o.reads_tokens() && o.preset != "none", "bsbr.preset = literal needs bsbr.read = state");
  reject(o.reads_tokens() && o.feature_map != "identity", "bsbr.feature_map needs bsbr.read = state");
  reject(o.reads_tokens() && o.normalise, "bsbr.normalise needs bsbr.read = state");
  reject(o.reads_tokens() && o.read_norm != "none", "bsbr.read_norm needs bsbr.read = state");
  reject(o.reads_tokens() && o.compression != 0, "bsbr.compression needs bsbr.read = state");
  reject(o.hierarchical() && o.score_bias == "off", "bsbr.softmax = hierarchical needs a bsbr.score_bias");
  reject(!o.reads_tokens() && o.block != "auto", "bsbr.block needs bsbr.read = tokens");
  reject(!o.reads_tokens() && o.keys == "shared", "bsbr.keys = shared needs bsbr.read = tokens");
  reject(o.normalise && o.feature_map == "identity",
         "bsbr.normalise needs bsbr.feature_map = elu1 or softmax");
  reject(o.normalise && o.read_norm != "none", "bsbr.normalise and bsbr.read_norm exclude each other");
  check(faults.empty(), Exit::usage, faults);
  return o;
}

}  // namespace tapestry
