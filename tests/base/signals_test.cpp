#include "base/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <functional>

#include "base/error.h"
#include "tests/support/child.h"

namespace tapestry {
namespace {

int status_with_handlers(const std::function<int()>& work) {
  return status_of_child([&] {
    install_signal_handlers();
    return work();
  });
}

TEST(Signals, StopSignalsSetTheFlag) {
  EXPECT_EQ(status_with_handlers([] { return stop_requested() ? 1 : 0; }), 0);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    EXPECT_EQ(status_with_handlers([&] {
                raise(signal);
                return stop_requested() ? 0 : 1;
              }),
              0)
        << signal;
  }
}

TEST(Signals, StopBecomesAnErrorOnRequest) {
  EXPECT_EQ(status_with_handlers([] {
              throw_if_stop_requested();
              raise(SIGTERM);
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
  EXPECT_EQ(status_with_handlers([] {
              raise(SIGINT);
              raise(SIGINT);
              return 0;
            }),
            130);
  EXPECT_EQ(status_with_handlers([] {  // two requests by a scheduler are no impatience
              raise(SIGTERM);
              raise(SIGTERM);
              raise(SIGINT);
              return 0;
            }),
            0);
}

TEST(Signals, BrokenPipesAndFileLimitsDoNotKill) {
  EXPECT_EQ(status_with_handlers([] {
              raise(SIGPIPE);
              raise(SIGXFSZ);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace tapestry
