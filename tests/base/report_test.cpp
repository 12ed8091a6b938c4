#include "base/report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"

namespace tapestry {
namespace {

using testing::HasSubstr;

Report example() {
  Report report;
  report.add("checkpoint", "run/last.h5").add("tokens", int64_t{1234}).add("perplexity", 31.25);
  report.add("memory_bytes", 1288490188, "1.2 GiB").add("tied", true).add("valid_loss", Figure());
  auto& layers = report.table("layers", {"name", "mean"});
  layers.row({"h.0", 0.5});
  layers.row({"h.10", std::nan("")});
  report.group("bsbr").add("chunk", 64);
  return report;
}

TEST(Report, TextIsAligned) {
  EXPECT_EQ(example().text(),
            "checkpoint    run/last.h5\n"
            "tokens        1234\n"
            "perplexity    31.25\n"
            "memory_bytes  1.2 GiB\n"
            "tied          yes\n"
            "valid_loss    -\n"
            "layers\n"
            "  name  mean\n"
            "  h.0    0.5\n"
            "  h.10   nan\n"
            "bsbr\n"
            "  chunk  64\n");
}

TEST(Report, JsonHoldsEveryFigureInOrder) {
  const auto json = nlohmann::ordered_json::parse(example().json());
  EXPECT_EQ(json.begin().key(), "checkpoint");
  EXPECT_EQ(json["tokens"], 1234);
  EXPECT_EQ(json["perplexity"], 31.25);
  EXPECT_EQ(json["memory_bytes"], 1288490188);
  EXPECT_EQ(json["tied"], true);
  EXPECT_TRUE(json["valid_loss"].is_null());
  EXPECT_EQ(json["layers"][0]["mean"], 0.5);
  EXPECT_TRUE(json["layers"][1]["mean"].is_null());
  EXPECT_EQ(json["layers"][1]["mean_nonfinite"], "nan");
  EXPECT_EQ(json["bsbr"]["chunk"], 64);
}

TEST(Report, JsonSaysWhatWasNotFinite) {
  Report report;
  report.add("a", std::numeric_limits<double>::infinity()).add("b", -std::numeric_limits<double>::infinity());
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_EQ(json.size(), 4u);
  EXPECT_EQ(json["a_nonfinite"], "inf");
  EXPECT_EQ(json["b_nonfinite"], "-inf");
}

TEST(Report, JsonKeepsTheBitsOfNumbersAndSurvivesBadUtf8) {
  Report report;
  report.add("x", 1.0 / 3).add("text", "a\xFF");
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_EQ(json["x"].get<double>(), 1.0 / 3);
  EXPECT_EQ(json["text"], "a\xEF\xBF\xBD");
}

TEST(Report, RowsFitTheirTable) { EXPECT_THROW(Report().table("t", {"a", "b"}).row({1}), Error); }

TEST(Report, DashSendsTheTextAside) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  example().write({.json = "-"});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), example().json());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), example().text());
}

TEST(Report, WritesAFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "report.json";
  check_report_destination({.json = path});
  testing::internal::CaptureStdout();
  example().write({.json = path});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), example().text());
  EXPECT_EQ(read_text(path), example().json());
}

TEST(Report, UnwritableDestinationsAreFoundEarly) {
  EXPECT_THROW(check_report_destination({.json = "/no/such/folder/report.json"}), Error);
  EXPECT_THROW(check_report_destination({.json = "/tmp"}), Error);
  EXPECT_NO_THROW(check_report_destination({.json = "-"}));
  EXPECT_NO_THROW(check_report_destination({}));
}

}  // namespace
}  // namespace tapestry
