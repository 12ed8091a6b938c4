#include "base/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/error.h"
#include "tests/support/child.h"

namespace tapestry {
namespace {

int status_with_watch(const std::function<int()>& work) {
  return status_of_child([&] {
    watch_signals();
    return work();
  });
}

void send(int signal) { kill(getpid(), signal); }

/// Whether the watch sees a signal within a time that is long on any machine.
bool stops_soon() {
  for (int i = 0; i < 1000 && !stop_requested(); ++i) usleep(10'000);
  return stop_requested();
}

TEST(Signals, StopSignalsSetTheFlag) {
  EXPECT_EQ(status_with_watch([] { return stop_requested() ? 1 : 0; }), 0);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    EXPECT_EQ(status_with_watch([&] {
                send(signal);
                return stops_soon() ? 0 : 1;
              }),
              0)
        << signal;
  }
}

TEST(Signals, StopBecomesAnErrorOnRequest) {
  EXPECT_EQ(status_with_watch([] {
              throw_if_stop_requested();
              send(SIGTERM);
              if (!stops_soon()) return 1;
              try {
                throw_if_stop_requested();
              } catch (const Error& error) {
                return static_cast<int>(error.exit());
              }
              return 0;
            }),
            75);
}

TEST(Signals, SecondInterruptEndsAtOnce) {
  EXPECT_EQ(status_with_watch([] {
              send(SIGINT);
              if (!stops_soon()) return 1;
              send(SIGINT);
              sleep(10);
              return 0;
            }),
            130);
  EXPECT_EQ(status_with_watch([] {  // two requests by a scheduler are no impatience
              send(SIGTERM);
              if (!stops_soon()) return 1;
              send(SIGTERM);
              send(SIGINT);
              usleep(100'000);
              return 0;
            }),
            0);
}

/// A frame of a handler on the stack pointer of a product would write over the heap.
TEST(Signals, NoThreadThatComputesTakesThem) {
  EXPECT_EQ(status_with_watch([] {
              int taken = 0;
              const auto count_taken = [&taken] {
                sigset_t blocked;
                pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
                for (const int signal : {SIGINT, SIGTERM, SIGUSR1})
                  taken += sigismember(&blocked, signal) ? 0 : 1;
              };
              count_taken();
              std::thread(count_taken).join();
              return taken;
            }),
            0);
}

TEST(Signals, BrokenPipesAndFileLimitsDoNotKill) {
  EXPECT_EQ(status_with_watch([] {
              raise(SIGPIPE);
              raise(SIGXFSZ);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace tapestry
