#include "base/program.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <optional>
#include <system_error>

#include "base/help.h"
#include "base/nearest.h"
#include "base/process.h"

namespace tapestry {
namespace {

// What the program itself understands of a verb's words; the rest is the verb's.
struct Request {
  bool help = false;
  bool print_config = false;
  std::optional<std::string> config_file;
  std::vector<std::string> rest;
};

Request read_request(const std::vector<std::string>& words) {
  const std::string config = "--config";
  Request request;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      request.help = true;
    } else if (word == "--print-config") {
      request.print_config = true;
    } else if (word == config || word.rfind(config + "=", 0) == 0) {
      const bool next = word == config;
      check(!next || i + 1 < words.size(), Exit::usage, "--config needs a file");
      check(!request.config_file, Exit::usage, "--config was given twice");
      request.config_file = next ? words[++i] : word.substr(config.size() + 1);
    } else {
      request.rest.push_back(word);
    }
  }
  return request;
}

Command with_run_section(Command command) {
  auto& sections = command.sections;
  const bool listed = std::find(sections.begin(), sections.end(), &run_options()) != sections.end();
  if (!listed) sections.push_back(&run_options());
  return command;
}

Exit run_command(const Command& given, const std::vector<std::string>& words, const Prepare& prepare) {
  const Command command = with_run_section(given);
  const Request request = read_request(words);
  if (request.help) {
    std::cout << command_help(command);
    return Exit::done;
  }
  Config config;
  if (request.config_file) read_config_file(*request.config_file, command.sections, config);
  read_command_line(request.rest, command.sections, config);
  if (request.print_config) {
    std::cout << format_config(config, command.sections);
    return Exit::done;
  }
  prepare(config.get(run_options()));
  return command.run(config);
}

const Command& find_command(const std::string& verb, const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.name == verb) return command;
    names.push_back(command.name);
  }
  fail(Exit::usage, "unknown verb '", verb, "', ", did_you_mean(names, verb), " See tapestry help");
}

Exit run_words(std::vector<std::string> words, const std::vector<Command>& commands, const Prepare& prepare) {
  const std::string verb = words.empty() ? "" : words.front();
  if (verb == "--version") {
    std::cout << "tapestry " TAPESTRY_VERSION "\n";
  } else if (words.empty()) {
    std::cerr << program_help(commands);
    return Exit::usage;
  } else if (words.size() == 1 && (verb == "help" || verb == "--help" || verb == "-h")) {
    std::cout << program_help(commands);
  } else if (verb == "help") {
    std::cout << command_help(with_run_section(find_command(words[1], commands)));
  } else {
    words.erase(words.begin());
    return run_command(find_command(verb, commands), words, prepare);
  }
  return Exit::done;
}

// Runs `work` and turns what it throws into a message and an exit status, even when no memory is left.
template <class Work>
int status_of(const char* verb, const Work& work) {
  const auto report = [&](int status, const auto&... message) {
    std::cout.flush();
    ((std::cerr << "tapestry" << (*verb ? " " : "") << verb << ": ") << ... << message) << std::endl;
    return status;
  };
  const auto report_no_memory = [&] {
    return report(static_cast<int>(Exit::memory),
                  "out of memory; a shorter sequence, a smaller batch or a smaller model needs less");
  };
  try {
    return static_cast<int>(work());
  } catch (const Error& error) {
    return report(static_cast<int>(error.exit()), error.what());
  } catch (const std::bad_alloc&) {
    return report_no_memory();
  } catch (const std::length_error&) {  // more than any memory has
    return report_no_memory();
  } catch (const std::system_error& error) {  // of the file system, for the most part
    return report(static_cast<int>(Exit::io), error.what());
  } catch (const std::exception& error) {
    return report(EXIT_FAILURE, "internal error: ", error.what());
  }
}

}  // namespace

int dispatch(const std::vector<std::string>& words, const std::vector<Command>& commands,
             const Prepare& prepare) {
  const bool named = !words.empty() && words.front().rfind('-', 0) != 0;
  const char* verb = named ? words.front().c_str() : "";
  const int status = status_of(verb, [&] { return run_words(words, commands, prepare); });
  const int output = status_of(verb, [] {
    std::cout.flush();
    check(std::cout.good() && !std::ferror(stdout), Exit::io,
          "cannot write standard output: the disk is full or its reader has gone");
    return Exit::done;
  });
  return status == 0 ? output : status;
}

int run_program(int argc, char** argv, const std::vector<Command>& commands, const Prepare& prepare) {
  prepare_process(argv);
  return dispatch({argv + 1, argv + argc}, commands, prepare);
}

}  // namespace tapestry
