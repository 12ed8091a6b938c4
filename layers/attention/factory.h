#pragma once

#include "layers/attention/attention.h"

namespace tapestry {

/// The kind of attention that Layer(parent, dims, options) builds from the options in `table`, whose section
/// has the attention's name.
template <class Layer, class Options>
AttentionKind kind_from(const OptionTable<Options>& table) {
  return {table.name, &table,
          [&table](Module& parent, const AttentionDims& dims, const Config& config, int64_t layer) {
            return std::make_unique<Layer>(parent, dims, config.get(table, layer));
          }};
}

}  // namespace tapestry
