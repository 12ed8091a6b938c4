#include "base/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"

namespace tapestry {
namespace {

// Signals are for whole processes, so each test raises them in a child; its exit status tells.
int status_of_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    install_signal_handlers();
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Signals, StopSignalsSetTheFlag) {
  EXPECT_EQ(status_of_child([] { return stop_requested() ? 1 : 0; }), 0);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    EXPECT_EQ(status_of_child([&] {
                raise(signal);
                return stop_requested() ? 0 : 1;
              }),
              0)
        << signal;
  }
}

TEST(Signals, StopBecomesAnErrorOnRequest) {
  EXPECT_EQ(status_of_child([] {
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
  EXPECT_EQ(status_of_child([] {
              raise(SIGINT);
              raise(SIGINT);
              return 0;
            }),
            130);
  EXPECT_EQ(status_of_child([] {  // two requests by a scheduler are no impatience
              raise(SIGTERM);
              raise(SIGTERM);
              raise(SIGINT);
              return 0;
            }),
            0);
}

TEST(Signals, BrokenPipesAndFileLimitsDoNotKill) {
  EXPECT_EQ(status_of_child([] {
              raise(SIGPIPE);
              raise(SIGXFSZ);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace tapestry
