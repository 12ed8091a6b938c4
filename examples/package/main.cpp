#include <iostream>

#include "autograd/ops/linear.h"
#include "autograd/parameter.h"
#include "autograd/tape.h"

// One linear map and its gradient: for y = x W and dy = 1, dW holds x in every column.
int main() {
  using namespace tapestry;
  const Parameter weight(Tensor::from<float>({1, 2, 3, 4}, {2, 2}));
  const Tensor x = Tensor::from<float>({5, 6}, {1, 2});

  Tape tape;
  const Tensor y = linear(x, weight);
  tape.backward(y, Tensor::full({1, 2}, 1));

  for (const float value : y.values<float>()) std::cout << value << " ";
  for (const float value : weight.gradient().values<float>()) std::cout << value << " ";
  std::cout << "\n";
  return weight.gradient().values<float>() == std::vector<float>{5, 5, 6, 6} ? 0 : 1;
}
