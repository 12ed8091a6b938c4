#pragma once

#include <string>

#include "base/error.h"

namespace tapestry {

/// Opens everything in an HDF5 file once in a child process. libhdf5 crashes or hangs on some malformed
/// files, and a hash that fits says only that a file is as its writer left it: then the child ends, and the
/// file is an Error(exit). What else is wrong with it is left to the reader.
void probe_hdf5(const std::string& path, Exit exit);

}  // namespace tapestry
