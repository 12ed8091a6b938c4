#pragma once

#include "layers/attention/attention.h"

namespace tapestry {

/// The kind of attention that `make(parent, dims, options)` builds from the options in `table`, whose section
/// has the attention's name and which say what it costs.
template <class Options, class Make>
AttentionKind kind_by(const OptionTable<Options>& table, const Make& make) {
  return {table.name, &table,
          [&table, make](Module& parent, const AttentionDims& dims, const Config& config, int64_t layer) {
            return make(parent, dims, config.get(table, layer));
          },
          [&table](const CoreShape& shape, const Config& config, int64_t layer) {
            return config.get(table, layer).cost(shape);
          }};
}

/// The same of one class of layers.
template <class Layer, class Options>
AttentionKind kind_from(const OptionTable<Options>& table) {
  return kind_by(table, [](Module& parent, const AttentionDims& dims, const Options& options) {
    return std::make_unique<Layer>(parent, dims, options);
  });
}

}  // namespace tapestry
