#include "base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace tapestry {
namespace {

TEST(Units, Durations) {
  EXPECT_EQ(format_duration(0.451), "0.45s");
  EXPECT_EQ(format_duration(9.94), "9.9s");
  EXPECT_EQ(format_duration(59.4), "59s");
  EXPECT_EQ(format_duration(59.6), "1m 0s");
  EXPECT_EQ(format_duration(80), "1m 20s");
  EXPECT_EQ(format_duration(7270), "2h 1m");
  EXPECT_EQ(format_duration(90000), "1d 1h");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Units, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(1288490188), "1.2 GiB");
}

TEST(Units, Counts) {
  EXPECT_EQ(format_count(950), "950");
  EXPECT_EQ(format_count(12345), "12.3 k");
  EXPECT_EQ(format_count(12345678), "12.3 M");
}

}  // namespace
}  // namespace tapestry
