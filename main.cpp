#include "base/program.h"
#include "data/prepare_command.h"

int main(int argc, char** argv) {
  using namespace tapestry;
  return run_program(argc, argv, {prepare_command()});
}
