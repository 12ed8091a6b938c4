#include "base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/error.h"

namespace tapestry {
namespace {

std::atomic<int> stop_signals{0};
std::atomic<int> interrupts{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not take locks");

void on_stop_signal(int signal) {
  if (signal == SIGINT && interrupts++ > 0) _exit(static_cast<int>(Exit::interrupted));
  ++stop_signals;
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;  // reads and writes under way go on
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_stop_signal;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &action, nullptr);
}

bool stop_requested() { return stop_signals > 0; }

void throw_if_stop_requested() { check(!stop_requested(), Exit::stopped, "stopped by a signal"); }

}  // namespace tapestry
