#include "layers/attention/bsbr.h"

#include "layers/attention/factory.h"

namespace tapestry {

AttentionKind bsbr_kind() {
  const auto make = [](Module& parent, const AttentionDims& dims,
                       const BsbrOptions& options) -> std::unique_ptr<Attention> {
    if (options.reads_tokens()) return std::make_unique<BsbrTokens>(parent, dims, options);
    return std::make_unique<BsbrStates>(parent, dims, options);
  };
  return kind_by(bsbr_options(), make);
}

}  // namespace tapestry
