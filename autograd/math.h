#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "autograd/host_device.h"

namespace tapestry {

/// e^(x - n ln 2) for the n nearest to x / ln 2.
TAPESTRY_HD inline float exp_fraction(float x, float n) {
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691e-4f;
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666665e-1f;
  p = p * r + 5.0000001e-1f;
  return p * r * r + r + 1.0f;
}

/// e^x without branches, so that the compiler vectorises loops over it: reduction to [-ln2/2, ln2/2], a
/// polynomial, a shifted exponent. Within 2 ulp; 0 below the smallest normal number, infinity above the
/// largest.
TAPESTRY_HD inline float fast_exp(float x) {
  const float low = -87.3365f, high = 88.7228f;
  const float bounded = x < low ? low : (x > high ? high : x);
  const float n = std::floor(bounded * 1.44269504f + 0.5f);
  // 2^n in two factors: n = 128 alone would overflow the exponent.
  const int32_t half = static_cast<int32_t>(n) >> 1;
  const int32_t rest = static_cast<int32_t>(n) - half;
  const float y = exp_fraction(bounded, n) * std::bit_cast<float>((half + 127) << 23) *
                  std::bit_cast<float>((rest + 127) << 23);
  return x < low ? 0.0f : (x > high ? std::numeric_limits<float>::infinity() : y);
}
TAPESTRY_HD inline double fast_exp(double x) { return std::exp(x); }

/// e^x for x <= 0 or little above, as in a softmax: about half the work of fast_exp. Within 2 ulp; 0 below
/// the smallest normal number.
TAPESTRY_HD inline float exp_nonpositive(float x) {
  const float low = -87.3365f;
  const float bounded = x < low ? low : x;
  const float n = std::floor(bounded * 1.44269504f + 0.5f);
  const float y = exp_fraction(bounded, n) * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
  return x < low ? 0.0f : y;
}
TAPESTRY_HD inline double exp_nonpositive(double x) { return std::exp(x); }

/// erfc(x), the complementary error function, to 1.2e-7 of its value; the Chebyshev fit of Numerical Recipes
/// (Press et al., section 6.2), without branches as above.
TAPESTRY_HD inline float fast_erfc(float x) {
  const float z = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.5f * z);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  const float y = t * fast_exp(p - z * z);
  return x < 0 ? 2.0f - y : y;
}
TAPESTRY_HD inline double fast_erfc(double x) { return std::erfc(x); }

/// Elementwise functions: value and derivative side by side, for both devices. ATTENTION section 0.2.

struct Sigmoid {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return T(1) / (T(1) + fast_exp(-x));
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    const T s = value(x);
    return s * (1 - s);
  }
};

/// GELU in the tanh form of GPT-2, 0.5 x (1 + tanh(u)), as x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
struct GeluTanh {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return x * Sigmoid::value(twice_u(x));
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    const T s = Sigmoid::value(twice_u(x));
    return s + x * s * (1 - s) * T(1.5957691216057308) * (1 + T(0.134145) * x * x);
  }

 private:
  template <class T>
  TAPESTRY_HD static T twice_u(T x) {
    return T(1.5957691216057308) * (x + T(0.044715) * x * x * x);
  }
};

/// GELU, x Phi(x) with the normal distribution function Phi.
struct GeluExact {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return x * distribution(x);
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    return distribution(x) + x * T(0.3989422804014327) * fast_exp(T(-0.5) * x * x);
  }

 private:
  template <class T>
  TAPESTRY_HD static T distribution(T x) {
    return T(0.5) * fast_erfc(x * T(-0.7071067811865476));
  }
};

struct Silu {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return x * Sigmoid::value(x);
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    const T s = Sigmoid::value(x);
    return s * (1 + x * (1 - s));
  }
};

/// max(x, 0)^2
struct Relu2 {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return x > 0 ? x * x : T(0);
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    return x > 0 ? 2 * x : T(0);
  }
};

/// elu(x) + 1 as exp(x) below zero: never 1 + expm1(x), which rounds to 0 in float32 (ATTENTION 3,
/// pitfall 0).
struct Elu1 {
  template <class T>
  TAPESTRY_HD static T value(T x) {
    return x > 0 ? x + 1 : fast_exp(x);
  }
  template <class T>
  TAPESTRY_HD static T derivative(T x) {
    return x > 0 ? T(1) : fast_exp(x);
  }
};

/// Functions of two numbers.
struct Add {
  template <class T>
  TAPESTRY_HD static T value(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  TAPESTRY_HD static T value(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  TAPESTRY_HD static T value(T a, T b) {
    return a * b;
  }
};

}  // namespace tapestry
