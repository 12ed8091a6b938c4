#pragma once

#include <string>

namespace tapestry {

/// Writes `script` to `folder`/`name`.gp, where the paths in it start, and has gnuplot draw it. Without
/// gnuplot on this machine the script stays there to be drawn elsewhere: false. A script that gnuplot fails
/// on is an Error(io).
bool draw_with_gnuplot(const std::string& folder, const std::string& name, const std::string& script);

/// Tells the user of a verb that its plots are not drawn.
void say_not_drawn(const std::string& verb, const std::string& folder);

/// Makes a folder, and those above it, unless it is there; Error(io).
void make_folder(const std::string& folder);

/// A text in gnuplot's double quotes.
std::string gnuplot_quoted(const std::string& text);

}  // namespace tapestry
