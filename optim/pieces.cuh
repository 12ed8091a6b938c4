#pragma once

#include "autograd/cuda/kernel.cuh"
#include "autograd/memory.h"
#include "optim/pieces.h"

namespace tapestry::cuda {

/// Calls f(block, scale, element) for every element of all blocks, in one launch, if the scale is finite:
/// `blocks` lies on the host, its copy goes along.
template <class Block, class F>
void for_elements(const char* name, const Block* blocks, size_t count, const double* scale, const F& f) {
  const std::vector<Piece> pieces = split(blocks, count);
  DeviceArray<Block> blocks_array(static_cast<int64_t>(count));
  DeviceArray<Piece> pieces_array(static_cast<int64_t>(pieces.size()));
  Block* on_device = blocks_array.data();
  Piece* piece = pieces_array.data();
  copy_to_device(on_device, blocks, static_cast<int64_t>(count * sizeof(Block)));
  copy_to_device(piece, pieces.data(), static_cast<int64_t>(pieces.size() * sizeof(Piece)));
  for_each_block(name, static_cast<int64_t>(pieces.size()), kThreads, 0, [=] __device__(int64_t i) {
    const double factor = *scale;
    if (factor - factor != 0) return;
    const Block& block = on_device[piece[i].block];
    const int64_t begin = piece[i].begin;
    block_for(piece[i].end - begin, [=, &block](int64_t at) { f(block, factor, begin + at); });
  });
}

}  // namespace tapestry::cuda
