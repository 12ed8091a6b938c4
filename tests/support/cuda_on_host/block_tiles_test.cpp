#include "autograd/ops/block_tiles.cuh"

#include <gtest/gtest.h>

#include "autograd/random.h"
#include "autograd/tensor.h"

namespace tapestry::test {
namespace {

using cuda::BlockRow;
using cuda::BlockTiles;
using cuda::for_each_index;

/// For every token and retrieving head some of the blocks, ascending, the slots left over unused.
std::vector<int32_t> some_blocks(const RetrievalShape& s) {
  std::vector<int32_t> blocks;
  for (int64_t query = 0; query < s.heads() * s.tokens; ++query) {
    int64_t block = 0;
    for (int64_t slot = 0; slot < s.slots; ++slot) {
      block += static_cast<int64_t>(random_bits(3, query * s.slots + slot) % s.blocks());
      blocks.push_back(block < s.blocks() ? static_cast<int32_t>(block++) : -1);
      if (blocks.back() < 0) block = s.blocks();
    }
  }
  return blocks;
}

/// Pieces of queries and of heads that are no whole ones: each pair is in one row, and found there.
TEST(CudaBlockTiles, HoldEachPairOfAnyPieceOnce) {
  const RetrievalShape s{.batch = 2,
                         .tokens = 2500,
                         .n_head = 4,
                         .retrieving = 3,
                         .head_width = 2,
                         .chunk = 64,
                         .block = 32,
                         .slots = 3};
  const std::vector<int32_t> blocks = some_blocks(s);
  const Tensor on_device = Tensor::from(blocks, {static_cast<int64_t>(blocks.size())}).to(Device::cuda());
  const int32_t* block_of = on_device.data<int32_t>();
  for (const int64_t most : {int64_t{1}, int64_t{30000}, int64_t{1} << 30}) {
    Tensor rows = Tensor::zeros(on_device.shape(), DType::int32, Device::cuda());
    Tensor found = Tensor::zeros(on_device.shape(), DType::int32, Device::cuda());
    int32_t *row_count = rows.mutable_data<int32_t>(), *found_count = found.mutable_data<int32_t>();
    int64_t pieces = 0;
    cuda::for_block_tiles(
        s, block_of, 1,
        [&](const BlockTiles& tiles) {
          ++pieces;
          const BlockTiles x = tiles;
          for_each_index("rows", x.rows(), [=](int64_t i) {
            const BlockRow row(x, i);
            if (row.used && block_of[row.slot] == row.block) ++row_count[row.slot];
          });
          for_each_index("pairs", x.pairs(), [=](int64_t i) {
            if (x.row_of[i] < 0) return;
            const int64_t query = i / x.s.slots, token = x.first_query + query % x.queries;
            const int64_t bh = x.first_head + query / x.queries;
            const BlockRow row(x, x.row_of[i]);
            const bool same = row.token == token && row.bh == bh &&
                              row.slot == x.s.slot_offset(bh, token, i % x.s.slots) &&
                              row.scalar == x.s.token_offset(bh) + token;
            found_count[row.slot] += same ? 1 : 100;
          });
        },
        most);
    EXPECT_EQ(pieces, most == 1 ? 18 : most == 30000 ? 3 : 1) << most;
    const std::vector<int32_t> of_rows = rows.values<int32_t>(), of_pairs = found.values<int32_t>();
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(of_rows[i], blocks[i] >= 0) << i << " of " << most;
      ASSERT_EQ(of_pairs[i], blocks[i] >= 0) << i << " of " << most;
    }
  }
}

}  // namespace
}  // namespace tapestry::test
