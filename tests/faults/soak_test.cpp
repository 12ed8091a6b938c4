#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <random>
#include <thread>

#include "base/clock.h"
#include "tests/support/same_run.h"
#include "tests/support/tiny_run.h"

namespace tapestry::test {
namespace {

/// How long to go on with it; an hour for a release.
double minutes() {
  const char* given = std::getenv("TAPESTRY_SOAK_MINUTES");
  return given ? std::atof(given) : 0.2;
}

class Soak : public testing::Test, protected TinyRun {
 protected:
  /// Starts the run, or goes on with it, and sends it the signal after a while. Returns its exit status; 128
  /// and the signal if one ended it. It is gone then, and its lock with it.
  int run_for(double seconds, int signal) {
    const bool begun = std::filesystem::exists(file("run", "last.h5"));
    const std::string words = train_line("run", kOptions + (begun ? " --resume" : ""));
    const std::string line =
        join("exec ", program_path(), words.substr(words.find(' ')), " > /dev/null 2> ", folder_ / "errors");
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    const double end = steady_seconds() + seconds;
    while (waitpid(child, &status, WNOHANG) == 0) {
      if (steady_seconds() >= end) {
        kill(child, signal);
        waitpid(child, &status, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string errors() { return read_text(folder_ / "errors"); }

  const std::string kOptions =
      "--train.max_steps 600 --train.checkpoint_every 3 --train.eval_every 50 --train.log_every 5";
};

TEST_F(Soak, RandomSignalsAndResumingEndInTheUndisturbedRun) {
  ASSERT_EQ(train("whole", kOptions).status, 0);
  std::mt19937 random(5);
  std::uniform_real_distribution<double> seconds(0.05, 2);
  const int signals[] = {SIGTERM, SIGTERM, SIGKILL, SIGKILL, SIGHUP};
  int stopped = 0, killed = 0, runs = 0;
  for (const double end = steady_seconds() + 60 * minutes(); steady_seconds() < end; ++runs) {
    std::filesystem::remove_all(folder_ / "run");
    for (int status = -1; status != 0;) {
      status = run_for(seconds(random), signals[random() % std::size(signals)]);
      // 143 and 129: of a TERM before the program watches for it, and of a HUP.
      ASSERT_THAT(status, testing::AnyOf(0, 75, 137, 143, 129)) << errors();
      stopped += status == 75;
      killed += status == 137 || status == 129;
    }
    expect_same_run(folder_ / "whole", folder_ / "run");
  }
  std::cout << runs << " runs, " << stopped << " stopped and " << killed << " killed on the way\n";
  EXPECT_GT(stopped + killed, 0);
}

}  // namespace
}  // namespace tapestry::test
