#pragma once

namespace tapestry {

/// SIGINT, SIGTERM and SIGUSR1 ask the work to stop; a second SIGINT ends the process at once with 130.
/// SIGPIPE and SIGXFSZ are ignored, so that writing fails with an error instead. For main, not for libraries.
void install_signal_handlers();

/// Whether such a signal has arrived. Loops that can last longer than a second ask once a turn, bring
/// themselves to an end that can be resumed and fail with Exit::stopped.
bool stop_requested();

/// Throws Error(stopped), "stopped by a signal", if stop_requested(): for work that has nothing to save.
void throw_if_stop_requested();

}  // namespace tapestry
