#pragma once

namespace tapestry {

/// What a program needs before it does anything else: standard streams that are open, signal handlers, and
/// parallel loops whose idle threads sleep. For the latter the process may start itself anew, once, with the
/// same `argv`. For main, not for libraries.
void prepare_process(char** argv);

}  // namespace tapestry
