#include "base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.h"

namespace tapestry {
namespace {

std::atomic<bool> stop_signal{false};

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&signals, signal);
  return signals;
}

[[noreturn]] void wait_for_signals() {
  const sigset_t signals = stop_signals();
  for (bool interrupted = false;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGINT && interrupted) _exit(static_cast<int>(Exit::interrupted));
    interrupted |= signal == SIGINT;
    stop_signal = true;
  }
}

}  // namespace

void watch_signals() {
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(wait_for_signals).detach();
}

bool stop_requested() { return stop_signal; }

void throw_if_stop_requested() { check(!stop_requested(), Exit::stopped, "stopped by a signal"); }

}  // namespace tapestry
