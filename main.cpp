#include "base/program.h"

int main(int argc, char** argv) { return tapestry::run_program(argc, argv, {}); }
