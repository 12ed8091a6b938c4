#pragma once

namespace tapestry {

/// SIGINT, SIGTERM and SIGUSR1 ask the work to stop; a second SIGINT ends the process at once with 130.
/// SIGPIPE and SIGXFSZ are ignored, so that writing fails with an error instead. For main, not for libraries,
/// and before any other thread starts.
///
/// A thread of its own waits for the signals, and they are blocked in all others: oneDNN's float32 products
/// (jit_avx512_common_gemm_f32 and the one for AVX2, up to version 3.11) use the stack pointer as a pointer
/// into the heap, so a handler that interrupts them writes its frame over other data (its issue 4845).
void watch_signals();

/// Whether such a signal has arrived. Loops that can last longer than a second ask once a turn, bring
/// themselves to an end that can be resumed and fail with Exit::stopped.
bool stop_requested();

/// Throws Error(stopped), "stopped by a signal", if stop_requested(): for work that has nothing to save.
void throw_if_stop_requested();

}  // namespace tapestry
