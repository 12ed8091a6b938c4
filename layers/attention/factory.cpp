#include "layers/attention/factory.h"

#include "base/nearest.h"
#include "layers/attention/bsbr.h"
#include "layers/attention/delta_net.h"
#include "layers/attention/gau.h"
#include "layers/attention/hopfield.h"
#include "layers/attention/linear_attention.h"
#include "layers/attention/sliding_window.h"
#include "layers/attention/standard.h"

namespace tapestry {

const std::vector<AttentionKind>& attention_kinds() {
  static const std::vector<AttentionKind> kinds = {
      standard_kind(),  sliding_window_kind(), linear_attention_kind(),
      delta_net_kind(), bsbr_kind(),           hopfield_kind(),
      gau_kind(),
  };
  return kinds;
}

const AttentionKind& attention_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const AttentionKind& kind : attention_kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  fail(Exit::usage, "there is no attention '", name, "'; ", did_you_mean(names, name));
}

}  // namespace tapestry
