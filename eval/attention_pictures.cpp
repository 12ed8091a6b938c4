#include "eval/attention_pictures.h"

#include <cstdio>

#include "data/atomic_file.h"
#include "eval/gnuplot.h"

namespace tapestry {
namespace {

/// A map as float32, row by row.
void write_map(const std::string& path, const AttentionMap& map) {
  std::string bytes;
  for (int64_t t = 0; t < map.tokens; ++t) {
    for (int64_t i = 0; i < map.tokens; ++i) {
      const auto weight = static_cast<float>(map.at(t, i));
      bytes.append(reinterpret_cast<const char*>(&weight), sizeof weight);
    }
  }
  write_file_atomically(path, bytes);
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%%", 100 * share);
  return text;
}

/// Weights on a logarithmic scale, tokens that read from the top down; pairs that are not read are white.
std::string panel(const std::string& file, const std::string& title, int64_t tokens) {
  return join("set title ", gnuplot_quoted(title), "\nplot '", file, "' binary array=(", tokens, ",", tokens,
              ") format='%float32' using (abs($1) < 1e-4 ? NaN : abs($1)) with image notitle\n");
}

std::string script(const std::string& name, const std::string& title_a, const std::string& title_b,
                   int64_t tokens) {
  return join("set terminal pngcairo size 1320,640 font 'sans,11'\nset output '", name, ".png'\n",
              "set multiplot layout 1,2 title 'Attention weights, on a logarithmic scale'\nset size "
              "square\nset xlabel 'token that is read'\n"
              "set ylabel 'token that reads'\nset xrange [-0.5:",
              tokens, "-0.5]\nset yrange [", tokens,
              "-0.5:-0.5]\nset logscale cb\nset cbrange [1e-4:1]\n"
              "set palette defined (0 '#fff5eb', 0.35 '#fdae6b', 0.65 '#d94801', 1 '#3f0a02')\n",
              panel(name + "-a.map", title_a, tokens), panel(name + "-b.map", title_b, tokens),
              "unset multiplot\n");
}

class Drawing {
 public:
  Drawing(const std::string& folder, const PictureOptions& options) : folder_(folder), options_(options) {
    make_folder(folder);
  }

  HeadDensity head(const AttentionMap& a, const AttentionMap& b, const std::string& kind_a,
                   const std::string& kind_b, int64_t layer, int64_t head) {
    const HeadDensity found{layer, head, a.density(options_.threshold), b.density(options_.threshold)};
    const std::string name = join("layer-", layer, "-head-", head);
    write_map(folder_ + "/" + name + "-a.map", a);
    write_map(folder_ + "/" + name + "-b.map", b);
    const auto title = [&](const std::string& model, const std::string& kind, double density) {
      return join(model, ": ", kind, ", layer ", layer, ", head ", head, ", ", percent(density), " above ",
                  options_.threshold);
    };
    drawn_ =
        draw_with_gnuplot(folder_, name,
                          script(name, title("a", kind_a, found.a), title("b", kind_b, found.b), a.tokens)) &&
        drawn_;
    return found;
  }
  bool drawn() const { return drawn_; }

 private:
  std::string folder_;
  PictureOptions options_;
  bool drawn_ = true;
};

}  // namespace

std::vector<HeadDensity> draw_attention(const std::string& folder, const LoadedModel& a, const LoadedModel& b,
                                        const Tensor& tokens, const PictureOptions& options, bool& drawn) {
  const std::vector<Tensor> hidden_a = a.model->hidden_states(tokens),
                            hidden_b = b.model->hidden_states(tokens);
  Drawing drawing(folder, options);
  std::vector<HeadDensity> found;
  for (const int64_t layer : options.layers) {
    for (const int64_t head : options.heads) {
      const AttentionMap of_a = attention_map(*a.model, a.config, hidden_a.at(layer), layer, head);
      const AttentionMap of_b = attention_map(*b.model, b.config, hidden_b.at(layer), layer, head);
      found.push_back(drawing.head(of_a, of_b, a.model->options().attention_of(layer),
                                   b.model->options().attention_of(layer), layer, head));
    }
  }
  drawn = drawing.drawn();
  return found;
}

}  // namespace tapestry
