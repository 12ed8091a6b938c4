#pragma once

#include <string>
#include <system_error>
#include <vector>

namespace tapestry {

/// The names in a folder but "." and "..", in no order, and in `fault` why it could not be read, if so.
/// Without memory it throws, where libstdc++'s iterators end the process.
std::vector<std::string> names_in_folder(const std::string& folder, std::error_code& fault);

}  // namespace tapestry
