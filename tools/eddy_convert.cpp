// eddy-convert: models between Hugging Face folders and Eddy checkpoints; what is in them, whether it is whole.
#include <map>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/options.h"
#include "convert_commands.h"

namespace {
using namespace eddy;

#ifdef EDDY_DOWNLOAD
constexpr const char* kDownload = "  download REPO --out DIR        a model's files from a Hugging Face hub\n";
#else
constexpr const char* kDownload = "";
#endif

int convert_main(comm::Session& session, int argc, char** argv) {
  std::map<std::string, int (*)(comm::Session&, const convert::Arguments&)> commands = {
      {"from-hf", convert::from_hf},  {"to-hf", convert::to_hf},     {"reshard", convert::reshard},
      {"cast", convert::cast_folder}, {"inspect", convert::inspect}, {"verify", convert::verify},
      {"diff", convert::diff}};
#ifdef EDDY_DOWNLOAD
  commands["download"] = convert::download;
#endif
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty())
    if (const auto it = commands.find(arguments[0]); it != commands.end())
      return it->second(session, {arguments.begin() + 1, arguments.end()});
  Options top(
      "eddy-convert", "COMMAND [options]   (each command has its own --help)",
      std::string("Converts models between Hugging Face folders and Eddy checkpoints, and looks into both.\n\n") +
          kDownload +
          "  from-hf --in DIR --out CKPT    a Hugging Face folder into an Eddy checkpoint\n"
          "  to-hf --in CKPT --out DIR      an Eddy checkpoint into a Hugging Face folder\n"
          "  cast --in DIR --out DIR        a Hugging Face folder in BF16 made of FP8, or the reverse\n"
          "  reshard --in CKPT --out CKPT   an Eddy checkpoint written anew, every checksum compared\n"
          "  inspect PATH                   what a checkpoint, folder or safetensors file holds\n"
          "  verify PATH                    whether it is whole\n"
          "  diff A B                       where two of them differ");
  if (!arguments.empty() && arguments[0][0] == '-') {
    if (!top.parse(arguments)) return 0;
  }
  std::vector<std::string> names;
  for (const auto& [name, command] : commands) names.push_back(name);
  if (arguments.empty() || arguments[0][0] == '-') fail_input("give a command first: {}", fmt::join(names, ", "));
  const std::string near = nearest(arguments[0], names);
  fail_input("unknown command '{}'{}; see eddy-convert --help", arguments[0],
             near.empty() ? "" : " (did you mean " + near + "?)");
}
}  // namespace

int main(int argc, char** argv) {
  return eddy::comm::run_mpi_main("eddy-convert", argc, argv,
                                  [&](eddy::comm::Session& s) { return convert_main(s, argc, argv); });
}
