#include "eval/bench_plots.h"

#include <algorithm>

#include "base/error.h"
#include "data/atomic_file.h"
#include "eval/gnuplot.h"

namespace tapestry {
namespace {

struct Axis {
  std::string file, unit;
  std::vector<double> BenchSeries::*values;
};

std::string csv(const std::vector<BenchSeries>& all, const Axis& axis) {
  std::string text = "attention,precision,threads,seq_len," + axis.unit + "\n";
  for (const BenchSeries& s : all) {
    for (size_t i = 0; i < s.lengths.size(); ++i)
      text += join('"', s.attention, "\",", s.precision, ",", s.threads, ",", s.lengths[i], ",",
                   (s.*axis.values)[i], "\n");
  }
  return text;
}

/// The attention, and what else tells the series apart.
std::string title_of(const BenchSeries& s, const std::vector<BenchSeries>& all) {
  const auto differs = [&](auto BenchSeries::*field) {
    return std::any_of(all.begin(), all.end(),
                       [&](const BenchSeries& other) { return other.*field != s.*field; });
  };
  std::string title = s.attention;
  if (differs(&BenchSeries::precision)) title += ", " + s.precision;
  if (differs(&BenchSeries::threads)) title += join(", ", s.threads, s.threads == 1 ? " thread" : " threads");
  return title;
}

/// gnuplot reads the lines of one series by their numbers in the file, the header being line 0.
std::string script(const std::vector<BenchSeries>& all, const Axis& axis) {
  std::string text = "set terminal pngcairo size 900,600 font 'sans,11'\nset output '" + axis.file +
                     ".png'\nset datafile separator ','\nset logscale x 2\nset logscale y\nset grid\n"
                     "set format y '%g'\nset key outside right center\nset xlabel 'tokens in a sequence'\n"
                     "set ylabel '" +
                     axis.unit + "'\nplot";
  size_t line = 1;
  for (const BenchSeries& series : all) {
    const size_t end = line + series.lengths.size();
    text += join(line == 1 ? "" : ",", " '", axis.file, ".csv' every ::", line, "::", end - 1,
                 " using 4:5 with linespoints linewidth 2 pointtype 7 title ",
                 gnuplot_quoted(title_of(series, all)), " noenhanced");
    line = end;
  }
  return text + "\n";
}

}  // namespace

bool plot_bench(const std::string& folder, const std::vector<BenchSeries>& all, const BenchUnits& units) {
  make_folder(folder);
  bool drawn = true;
  for (const Axis& axis : {Axis{"time", units.seconds, &BenchSeries::seconds},
                           Axis{"memory", units.bytes, &BenchSeries::bytes}}) {
    write_file_atomically(join(folder, "/", axis.file, ".csv"), csv(all, axis));
    drawn = draw_with_gnuplot(folder, axis.file, script(all, axis)) && drawn;
  }
  return drawn;
}

}  // namespace tapestry
