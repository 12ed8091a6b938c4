#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "tests/faults/save_again.h"

/// save_loop MODE PATH SAVES WIDTH: save_again_and_again() as a program, for strace; it says "ready".
int main(int, char** argv) {
  try {
    tapestry::test::save_again_and_again(argv[1], argv[2], std::atoll(argv[3]), std::atoll(argv[4]), [] {
      std::puts("ready");
      std::fflush(stdout);
    });
    return 0;
  } catch (const tapestry::Error& error) {
    std::cerr << error.what() << std::endl;
    return static_cast<int>(error.exit());
  }
}
