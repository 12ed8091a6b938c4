#include "tests/support/cuda_on_host/block_runner.h"

#include <algorithm>
#include <array>
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/cuda_on_host/device_memory.h"

namespace cuda_on_host {

Indices indices;

namespace {

namespace context = boost::context;

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 128 << 10;
constexpr size_t kLargestValue = 8;

enum class State { ready, at_block_barrier, at_warp_barrier, ended };

/// One thread of the block that runs. Its fiber goes on to the thread of the same number of the next block.
struct Thread {
  context::fiber fiber;
  State state = State::ended;
  unsigned mask = 0;  // of the lanes that it waits for
  // What it brings to an exchange; two, because a lane may go on to the next while others still read.
  std::array<std::array<unsigned char, kLargestValue>, 2> brought{};
  unsigned exchanges = 0;
};

struct Block {
  std::vector<Thread> threads;
  size_t size = 0;
  const std::function<void()>* body = nullptr;
  context::fiber* host = nullptr;  // to go back to
  Thread* running = nullptr;
  uint64_t number = 0;
  std::vector<unsigned char> dynamic;
  std::string failure;
  std::minstd_rand random{1};
};

Block& block() {
  static auto* block = new Block;  // fibers live as long as the program
  return *block;
}

Thread& running() { return *block().running; }

int index_of(const Thread& thread) { return static_cast<int>(&thread - block().threads.data()); }

/// Back to the host until this thread is resumed.
void give_way(State state, unsigned mask = 0) {
  Thread& self = running();
  self.state = state;
  self.mask = mask;
  *block().host = std::move(*block().host).resume();
}

void live() {
  for (;;) {
    (*block().body)();
    give_way(State::ended);
  }
}

void resume(Thread& thread, context::fiber& host) {
  block().running = &thread;
  block().host = &host;
  const auto index = static_cast<unsigned>(index_of(thread));
  indices.thread = Extent(index % indices.block_size.x, index / indices.block_size.x);
  if (!thread.fiber) {
    thread.fiber = context::fiber(std::allocator_arg, context::fixedsize_stack(kStackBytes),
                                  [&host](context::fiber&& from) {
                                    host = std::move(from);
                                    live();
                                    return context::fiber();
                                  });
  }
  thread.fiber = std::move(thread.fiber).resume();
}

template <class Condition>
bool all_threads(const Condition& condition) {
  return std::all_of(block().threads.begin(), block().threads.begin() + static_cast<int64_t>(block().size),
                     condition);
}

/// Lets the warp that begins at `first` go on where all lanes that a thread waits for have come.
bool release_warp(size_t first) {
  unsigned waiting = 0, ended = 0;
  const size_t lanes = std::min<size_t>(kLanes, block().size - first);
  for (size_t i = 0; i < lanes; ++i) {
    const Thread& thread = block().threads[first + i];
    if (thread.state == State::at_warp_barrier) waiting |= 1u << i;
    if (thread.state == State::ended) ended |= 1u << i;
  }
  bool released = false;
  for (size_t i = 0; i < lanes; ++i) {
    Thread& thread = block().threads[first + i];
    if (thread.state != State::at_warp_barrier) continue;
    if (thread.mask & ended) block().failure = "a lane that others wait for has ended";
    if ((thread.mask & waiting) != thread.mask || !(thread.mask >> i & 1)) continue;
    thread.state = State::ready;
    released = true;
  }
  return released;
}

bool release() {
  bool released = false;
  for (size_t first = 0; first < block().size; first += kLanes) released |= release_warp(first);
  if (released || !block().failure.empty()) return released;
  const auto at_barrier = [](const Thread& thread) {
    return thread.state == State::at_block_barrier || thread.state == State::ended;
  };
  if (!all_threads(at_barrier)) return false;
  for (size_t i = 0; i < block().size; ++i) {
    if (block().threads[i].state == State::ended) continue;
    block().threads[i].state = State::ready;
    released = true;
  }
  return released;
}

void run_block(context::fiber& host) {
  Block& b = block();
  ++b.number;
  std::fill(b.dynamic.begin(), b.dynamic.end(), 0xFF);
  std::vector<size_t> order(b.size);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < b.size; ++i) b.threads[i].state = State::ready;
  do {
    std::shuffle(order.begin(), order.end(), b.random);
    for (const size_t i : order) {
      if (b.threads[i].state == State::ready) resume(b.threads[i], host);
    }
  } while (release());
  const auto ended = [](const Thread& thread) { return thread.state == State::ended; };
  if (b.failure.empty() && !all_threads(ended)) b.failure = "threads wait at different barriers";
}

}  // namespace

void run_kernel(const char* name, Extent grid, Extent size, int64_t shared_bytes,
                const std::function<void()>& thread) {
  const DeviceMemory::Open open;
  Block& b = block();
  if (size.z * grid.y * grid.z != 1 || size.x == 0 || size.y == 0 || size.x * size.y > 1024)
    throw std::runtime_error(std::string(name) + ": a grid or block of this shape cannot be run");
  b.size = size.x * size.y;
  if (b.threads.size() < b.size) b.threads.resize(1024);
  b.dynamic.resize(static_cast<size_t>(shared_bytes));
  b.body = &thread;
  indices.block_size = size;
  indices.grid_size = grid;
  std::vector<unsigned> order(grid.x);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), b.random);
  context::fiber host;
  for (const unsigned i : order) {
    indices.block = Extent(i);
    run_block(host);
    if (b.failure.empty()) continue;
    b.threads.clear();  // unwinds what still waits
    throw std::runtime_error("CUDA on the host: " + std::string(name) + ": " +
                             std::exchange(b.failure, std::string()));
  }
}

void wait_for_block() { give_way(State::at_block_barrier); }
void wait_for_warp(unsigned mask) { give_way(State::at_warp_barrier, mask); }

int lane() { return index_of(running()) % kLanes; }

void exchange_bytes(unsigned mask, const void* value, void* result, size_t bytes, int from_lane) {
  Thread& self = running();
  const unsigned turn = self.exchanges++ % 2;
  std::memcpy(self.brought[turn].data(), value, bytes);
  wait_for_warp(mask);
  const int from = index_of(self) / kLanes * kLanes + from_lane;
  std::memcpy(result, block().threads[static_cast<size_t>(from)].brought[turn].data(), bytes);
}

unsigned ballot(unsigned mask, bool predicate) {
  Thread& self = running();
  const unsigned turn = self.exchanges++ % 2;
  self.brought[turn][0] = predicate;
  wait_for_warp(mask);
  const int first = index_of(self) / kLanes * kLanes;
  unsigned result = 0;
  for (int i = 0; i < kLanes; ++i) {
    if (mask >> i & 1 && block().threads[static_cast<size_t>(first + i)].brought[turn][0]) result |= 1u << i;
  }
  return result;
}

void* SharedArray::of_this_block() {
  if (block_ != block().number) std::memset(memory_, 0xFF, bytes_);
  block_ = block().number;
  return memory_;
}

void* dynamic_shared() { return block().dynamic.data(); }

}  // namespace cuda_on_host
