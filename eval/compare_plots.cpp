#include "eval/compare_plots.h"

#include <algorithm>

#include "data/atomic_file.h"
#include "eval/gnuplot.h"

namespace tapestry {
namespace {

/// Positions that share a point of the plot.
constexpr int64_t kPoints = 64;

std::string start(const std::string& picture, const std::string& title) {
  return "set terminal pngcairo size 900,540 font 'sans,11'\nset output '" + picture +
         "'\nset datafile separator ','\nset grid\nset key outside top center horizontal\nset title '" +
         title + "'\n";
}

std::string layers_csv(const Comparison& found) {
  std::string text = "before_block,cosine,cosine_error,mse,mse_error\n";
  for (int64_t layer = 0; layer < found.layers(); ++layer) {
    const Estimate cosine = found.hidden_cosine(layer), mse = found.hidden_mse(layer);
    text += join(layer, ",", cosine.mean, ",", cosine.error, ",", mse.mean, ",", mse.error, "\n");
  }
  return text;
}

std::string positions_csv(const Comparison& found) {
  std::string text = "first,last,top1,logit_cosine,kl,last_hidden_cosine\n";
  const int64_t points = std::min(kPoints, found.seq_len());
  for (int64_t point = 0; point < points; ++point) {
    const int64_t begin = point * found.seq_len() / points, end = (point + 1) * found.seq_len() / points;
    text += join(begin, ",", end - 1, ",", found.of(Measure::top1, begin, end), ",",
                 found.of(Measure::logit_cosine, begin, end), ",", found.of(Measure::kl, begin, end), ",");
    if (found.layers() > 0) text += join(found.hidden_cosine(found.layers() - 1, begin, end));
    text += "\n";
  }
  return text;
}

std::string layers_script() {
  return start("layers.png", "Hidden states of b against a") +
         "set xlabel 'before block (the last: after all)'\nset ylabel 'cosine'\nset xtics 1\n"
         "plot 'layers.csv' skip 1 using 1:2:3 with yerrorlines linewidth 2 pointtype 7 title 'cosine, with "
         "standard error'\n";
}

std::string positions_script(bool hidden) {
  const std::string middle = " skip 1 using (0.5*($1+$2)):", style = " with lines linewidth 2 title ";
  return start("positions.png", "Agreement of b with a by position") +
         "set xlabel 'position in the window'\nset ylabel 'agreement'\nset yrange [:1.02]\n"
         "set y2label 'KL(a || b), nats'\nset y2tics\nset y2range [0:]\nset ytics nomirror\n"
         "plot 'positions.csv'" +
         middle + "3" + style + "'top-1 agreement', ''" + middle + "4" + style +
         "'cosine of the logits', ''" +
         (hidden ? middle + "6" + style + "'cosine of the last hidden state', ''" : "") + middle +
         "5 axes x1y2 with lines linewidth 2 dashtype 2 title 'KL (right)'\n";
}

}  // namespace

bool plot_comparison(const std::string& folder, const Comparison& found) {
  make_folder(folder);
  write_file_atomically(folder + "/positions.csv", positions_csv(found));
  bool drawn = draw_with_gnuplot(folder, "positions", positions_script(found.layers() > 0));
  if (found.layers() == 0) return drawn;
  write_file_atomically(folder + "/layers.csv", layers_csv(found));
  return draw_with_gnuplot(folder, "layers", layers_script()) && drawn;
}

}  // namespace tapestry
