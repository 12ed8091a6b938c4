#pragma once

#include "layers/attention/bsbr_options.h"
#include "layers/attention/bsbr_states.h"
#include "layers/attention/bsbr_tokens.h"

namespace tapestry {

/// Block sparse attention with block retrieval (ATTENTION section 7): softmax attention within a chunk of
/// tokens, and what is retrieved from earlier chunks, their tokens or their states, as bsbr.read says.
AttentionKind bsbr_kind();

}  // namespace tapestry
