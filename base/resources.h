#pragma once

#include <cstdint>

namespace tapestry {

/// Cores that this process may use: what its affinity mask and its control groups leave of the machine's.
int64_t available_cores();

/// Bytes that may still be allocated before the machine or a control group runs out.
int64_t available_memory_bytes();

/// The most memory that this process has ever had resident, in bytes.
int64_t peak_memory_bytes();
/// Makes that the memory resident now, where the system allows it.
void reset_peak_memory();

/// Seconds that the threads of this process have run so far, added up over the cores.
double processor_seconds();

/// Pages that the system has had to provide to this process so far.
int64_t page_faults();

}  // namespace tapestry
