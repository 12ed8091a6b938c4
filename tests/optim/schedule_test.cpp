#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tapestry {
namespace {

Schedule schedule(Schedule::Shape shape) {
  return {
      .shape = shape, .peak = 1e-3, .floor = 1e-4, .warmup_steps = 9, .max_steps = 109, .decay_steps = 20};
}

TEST(Schedule, WarmupRisesEvenlyToThePeak) {
  for (const auto shape :
       {Schedule::Shape::constant, Schedule::Shape::linear, Schedule::Shape::cosine, Schedule::Shape::wsd}) {
    const Schedule s = schedule(shape);
    for (int64_t i = 0; i <= 9; ++i) EXPECT_DOUBLE_EQ(s.learning_rate(i), 1e-3 * (i + 1) / 10) << i;
  }
}

TEST(Schedule, WithoutWarmupTheFirstUpdateHasThePeak) {
  Schedule s = schedule(Schedule::Shape::cosine);
  s.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 1e-3);
  EXPECT_LT(s.learning_rate(1), 1e-3);
}

TEST(Schedule, FallsToTheFloorAtTheEndAndStaysThere) {
  for (const auto shape : {Schedule::Shape::linear, Schedule::Shape::cosine, Schedule::Shape::wsd}) {
    const Schedule s = schedule(shape);
    for (int64_t i = 9; i < 109; ++i) {
      EXPECT_GE(s.learning_rate(i), s.learning_rate(i + 1)) << i;
      EXPECT_GT(s.learning_rate(i), 1e-4) << i;
    }
    EXPECT_DOUBLE_EQ(s.learning_rate(109), 1e-4);
    EXPECT_DOUBLE_EQ(s.learning_rate(1'000'000), 1e-4);
  }
  EXPECT_DOUBLE_EQ(schedule(Schedule::Shape::constant).learning_rate(1'000'000), 1e-3);
}

TEST(Schedule, ShapesAtAQuarterOfTheWay) {
  const double fall = 1e-3 - 1e-4;
  EXPECT_DOUBLE_EQ(schedule(Schedule::Shape::linear).learning_rate(34), 1e-3 - fall / 4);
  EXPECT_DOUBLE_EQ(schedule(Schedule::Shape::cosine).learning_rate(34),
                   1e-4 + fall * (1 + std::cos(std::acos(-1.0) / 4)) / 2);
}

TEST(Schedule, WsdIsFlatUntilItsDecay) {
  const Schedule s = schedule(Schedule::Shape::wsd);
  EXPECT_DOUBLE_EQ(s.learning_rate(89), 1e-3);
  EXPECT_DOUBLE_EQ(s.learning_rate(99), (1e-3 + 1e-4) / 2);
}

}  // namespace
}  // namespace tapestry
