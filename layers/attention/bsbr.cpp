#include "layers/attention/bsbr.h"

namespace tapestry {

AttentionKind bsbr_kind() {
  const auto make = [](Module& parent, const AttentionDims& dims, const Config& config,
                       int64_t layer) -> std::unique_ptr<Attention> {
    const BsbrOptions options = config.get(bsbr_options(), layer);
    if (options.reads_tokens()) return std::make_unique<BsbrTokens>(parent, dims, options);
    return std::make_unique<BsbrStates>(parent, dims, options);
  };
  return {bsbr_options().name, &bsbr_options(), make};
}

}  // namespace tapestry
