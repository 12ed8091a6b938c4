#include "data/hdf5_probe.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/hdf5_library.h"

namespace tapestry {
using hdf5::own;

namespace {

constexpr rlim_t kSecondsToWalk = 3;  // of the processor, which no slow disk and no busy machine uses up
constexpr int kDeepest = 16;

herr_t read_attribute(hid_t object, const char* name, const H5A_info_t*, void*) {
  const Hdf5Id attribute = own(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  const Hdf5Id type = own(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space = own(H5Aget_space(attribute.get()), H5Sclose);
  if (H5Tget_class(type.get()) != H5T_STRING) return 0;
  hdf5::read_texts(type, space, [&](hid_t memory_type, void* values) {
    return H5Aread(attribute.get(), memory_type, values) >= 0;
  });
  return 0;
}

/// Numbers lie in the file as they are; texts, and where the chunks lie, are for the library to find.
void read_dataset(hid_t dataset) {
  const Hdf5Id type = own(H5Dget_type(dataset), H5Tclose), space = own(H5Dget_space(dataset), H5Sclose);
  const Hdf5Id properties = own(H5Dget_create_plist(dataset), H5Pclose);
  hsize_t chunks = 0;
  if (H5Pget_layout(properties.get()) == H5D_CHUNKED) H5Dget_num_chunks(dataset, space.get(), &chunks);
  if (H5Tget_class(type.get()) != H5T_STRING) return;
  hdf5::read_texts(type, space, [&](hid_t memory_type, void* values) {
    return H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
  });
}

void walk(hid_t object, int depth) {
  H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, read_attribute, nullptr);
  const H5I_type_t type = H5Iget_type(object);
  if (type == H5I_DATASET) read_dataset(object);
  H5G_info_t info;
  if (type != H5I_GROUP || depth == kDeepest || H5Gget_info(object, &info) < 0) return;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const Hdf5Id child =
        own(H5Oopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT), H5Oclose);
    if (child.get() >= 0) walk(child.get(), depth + 1);
  }
}

[[noreturn]] void run_child(const std::string& path) {
  hdf5::release_in_child();
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU}) ::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0}, little_time{kSecondsToWalk, kSecondsToWalk + 1};
  setrlimit(RLIMIT_CORE, &no_core);
  setrlimit(RLIMIT_CPU, &little_time);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDERR_FILENO);
  try {
    const Hdf5Id file = own(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Hdf5Id root = own(H5Oopen(file.get(), "/", H5P_DEFAULT), H5Oclose);
    if (root.get() >= 0) walk(root.get(), 0);
  } catch (...) {  // no memory: the reader will say so
  }
  ::_exit(EXIT_SUCCESS);
}

}  // namespace

void probe_hdf5(const std::string& path, Exit exit) {
  const hdf5::Session session;
  const pid_t child = ::fork();
  check(child >= 0, Exit::memory, "cannot start a process to look into '", path, "': ", std::strerror(errno));
  if (child == 0) run_child(path);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
  check(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, exit, "'", path,
        "' is unreadable HDF5: libhdf5 ", late ? "does not come to an end" : "crashes",
        " on it; restore it from a copy");
}

}  // namespace tapestry
