#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>

#include "autograd/pool.h"
#include "base/program.h"
#include "data/commands.h"
#include "eval/commands.h"
#include "tests/base/example_options.h"
#include "tests/faults/saving.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"
#include "train/checkpoint_faults.h"
#include "train/commands.h"
#include "train/run_log.h"

namespace {

/// Allocations until they fail; none does while it is negative.
std::atomic<int64_t> allocations_left{-1};
std::atomic<bool> all_later_too{false};
std::atomic<bool> fired{false};

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) {
    fired = true;
    if (all_later_too) allocations_left = 0;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tapestry::test {
namespace {

class Memory : public testing::Test, protected TinyRun {
 protected:
  void SetUp() override { ASSERT_EQ(train("run", "--train.max_steps 1").status, 0); }

  /// Runs the words of a command line in this process, with the n-th allocation failing.
  int status_with_failure(const std::vector<std::string>& words, int64_t n, bool later_too) {
    static const std::vector<Command> commands = {train_command(),   eval_command(),    generate_command(),
                                                  prepare_command(), inspect_command(), verify_command()};
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    fired = false;
    all_later_too = later_too;
    allocations_left = n;
    int status = -1;  // of an exception that gets out
    try {
      status = dispatch(words, commands);
    } catch (const std::exception&) {
    }
    allocations_left = -1;
    testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    return status;
  }

  /// Lets the 1st, 2nd, 3rd allocation of a command fail, then ever larger ones, until it comes to its end.
  /// `look` sees what each failure leaves behind.
  void sweep(
      const std::vector<std::string>& words, const std::function<void()>& look = [] {}) {
    int failures = 0;
    for (int64_t n = 0;; n += 1 + n / 20) {
      const int status = status_with_failure(words, n, failures % 2 == 1);
      if (!fired) {
        EXPECT_EQ(status, 0) << errors_;
        break;
      }
      ++failures;
      ASSERT_TRUE(status == 6 || status == 0) << "allocation " << n << ": " << status << " " << errors_;
      if (status == 6) {
        ASSERT_THAT(errors_, testing::HasSubstr("out of memory")) << n;
      }
      look();
    }
    EXPECT_GT(failures, 50);
  }

  std::string errors_;
};

TEST_F(Memory, VerifySurvivesEachFailedAllocation) {
  sweep({"verify", file("run", "last.h5"), folder_ / "tokens.h5"});
}

TEST_F(Memory, InspectSurvivesEachFailedAllocation) {
  sweep({"inspect", file("run", "last.h5")});
  sweep({"inspect", folder_ / "tokens.h5"});
}

TEST_F(Memory, PrepareSurvivesEachFailedAllocation) {
  write_text(folder_ / "text", "a few words to make tokens of, and a few more words");
  sweep({"prepare", "--input", folder_ / "text", "--output", folder_ / "out.h5", "--tokenizer", "bpe:260"});
}

TEST_F(Memory, GenerateSurvivesEachFailedAllocation) {
  sweep({"generate", "--checkpoint", file("run", "last.h5"), "--prompt", "the cat", "--length", "5"});
}

TEST_F(Memory, EvalSurvivesEachFailedAllocation) {
  sweep({"eval", "--checkpoint", file("run", "last.h5"), "--tokens", folder_ / "tokens.h5", "--run.threads",
         "1"});
}

TEST_F(Memory, TrainSurvivesEachFailedAllocationAndLeavesWholeCheckpoints) {
  const std::vector<std::string> words = {"train",
                                          "--config",
                                          folder_ / "tiny.ini",
                                          "--train.out",
                                          folder_ / "swept",
                                          "--train.max_steps",
                                          "2",
                                          "--train.checkpoint_every",
                                          "1",
                                          "--overwrite"};
  sweep(words);  // until a run comes to its end, what a process makes once and keeps takes most allocations
  int64_t checkpoints = 0;
  sweep(words, [&] {
    if (!std::filesystem::exists(file("swept", "last.h5"))) return;
    FaultList faults;
    find_checkpoint_faults(file("swept", "last.h5"), faults);
    EXPECT_THAT(faults.lines(), testing::IsEmpty());
    ++checkpoints;
  });
  EXPECT_GT(checkpoints, 10);
  ASSERT_EQ(train("undisturbed", "--train.max_steps 2 --train.checkpoint_every 1").status, 0);
  expect_same_run(folder_ / "swept", folder_ / "undisturbed");
}

TEST(Pool, TakesABlockBackWithoutMemory) {
  constexpr int64_t bytes = 12'345, blocks = 100;
  std::vector<void*> memory;
  for (int64_t i = 0; i < blocks; ++i) memory.push_back(pool_allocate(Device::cpu(), bytes));
  allocations_left = 0;
  for (void* block : memory) EXPECT_NO_THROW(pool_release(Device::cpu(), block, bytes));
  allocations_left = -1;
}

/// What `work` returns once each of its allocations has failed in turn.
template <class Work>
auto after_each_failed_allocation(const Work& work) {
  std::optional<decltype(work())> result;
  int64_t n = 0;
  for (; !result; ++n) {
    allocations_left = n;
    try {
      result = work();
    } catch (const std::bad_alloc&) {
    }
    allocations_left = -1;
  }
  EXPECT_GT(n, 1) << "no allocation failed";
  return *result;
}

TEST(Join, NeverComesOutShort) {
  const std::string expected = std::string(100, 'a') + "3";
  const auto text =
      after_each_failed_allocation([&] { return join(std::string_view(expected).substr(0, 100), 3); });
  EXPECT_EQ(text, expected);
}

TEST(ConfigText, IsNeverReadInPart) {
  const std::string text = "note = a note that is far too long for a short string\n" + std::string(300, '#') +
                           "\n[block]\nchunk = 8   # and a comment that is as long\n[net]\nwidth = 12\n";
  const auto config = after_each_failed_allocation([&] {
    Config config;
    read_config_text(text, "run.ini", example_sections(), config);
    return config;
  });
  EXPECT_EQ(config.get(note_options()).note, "a note that is far too long for a short string");
  EXPECT_EQ(config.get(block_options()).chunk, 8);
  EXPECT_EQ(config.get(net_options()).width, 12);
}

TEST(RunLog, IsNeverShortenedForWantOfMemory) {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.csv", line = "1," + std::string(300, '0') + "\n";
  write_text(path, "a header\n" + line);
  after_each_failed_allocation([&] { return RunLog(path, 1); });
  const std::string kept = read_text(path);
  EXPECT_EQ(kept.substr(kept.find('\n') + 1), line);
}

TEST_F(Memory, ALimitOnAddressesIsAnErrorThatSaysWhatToDo) {
  const std::string line = "ulimit -v 4000000\n" + train_line("big", "--model.n_embd 32768");
  const ShellResult result = shell(line);
  EXPECT_EQ(result.status, 6) << result.errors;
  EXPECT_THAT(result.errors, testing::AllOf(testing::HasSubstr("bytes"), testing::HasSubstr("batch size")));
}

}  // namespace
}  // namespace tapestry::test
