#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "tests/faults/saving.h"
#include "tests/support/child.h"
#include "tests/support/forged_file.h"
#include "tests/support/tiny_checkpoint.h"

namespace tapestry::test {
namespace {

constexpr unsigned kSeconds = 40;

/// How many files to forge; more than the default for a release.
int number_of_forgeries() {
  const char* given = std::getenv("TAPESTRY_FORGERIES");
  return given ? std::atoi(given) : 200;
}

/// Changes some bytes of the HDF5 content, most of them where its structure lies, and gives it a hash that
/// fits.
void forge_bytes(const std::string& good, const std::string& path, uint32_t seed) {
  constexpr size_t user_block = 512, structure = 8192;
  std::mt19937 random(seed);
  std::string bytes = good;
  const size_t changes = 1 + random() % 8;
  for (size_t i = 0; i < changes; ++i) {
    const size_t room =
        random() % 4 ? std::min(structure, bytes.size() - user_block) : bytes.size() - user_block;
    const size_t at = user_block + random() % room;
    switch (random() % 3) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      default:
        bytes.replace(at, std::min<size_t>(8, bytes.size() - at), 8, random() % 2 ? '\xFF' : '\0');
    }
  }
  std::filesystem::remove(path);
  write_text(path, bytes);
  seal(path);
}

/// What a process makes of a file: 0 nothing wrong, 7 refused, 1 the library would have crashed.
int look_at(const std::string& path) {
  alarm(kSeconds);
  const std::string faults = faults_of(path);
  if (faults.find("unreadable HDF5") != std::string::npos) return 1;
  try {
    load_model(path);
    return faults.empty() ? 0 : 7;
  } catch (const Error& error) {
    return static_cast<int>(error.exit());
  }
}

TEST(ForgedHdf5, NeverCrashesTheProcess) {
  const TemporaryFolder folder;
  TinyCheckpoint().save(folder / "good.h5", 1);
  const std::string good = read_text(folder / "good.h5"), path = folder / "forged.h5";
  std::map<int, int> outcomes;
  for (int seed = 0; seed < number_of_forgeries(); ++seed) {
    forge_bytes(good, path, static_cast<uint32_t>(seed));
    const int status = status_of_child([&] { return look_at(path); });
    ++outcomes[status];
    EXPECT_THAT(status, testing::AnyOf(0, 1, 3, 6, 7)) << "seed " << seed;
    if (status == 1) std::cout << "seed " << seed << " crashes libhdf5\n";
  }
  for (const auto& [status, count] : outcomes) std::cout << count << " files: " << status << "\n";
  EXPECT_GT(outcomes[7], 0);
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  if (major == 1 && minor <= 10) {
    EXPECT_GT(outcomes[1], 0) << "the fault did not fire";
  }
}

}  // namespace
}  // namespace tapestry::test
