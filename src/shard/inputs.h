#pragma once
// What to read: the files below the inputs, cut into units of work, shared out to the ranks.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "extract/file.h"

namespace eddy::shard {

struct InputFile {
  std::string path;  ///< as it is opened
  std::string name;  ///< for people and for the shard's source table: relative to the folder that holds the input given
  std::string root;  ///< LaTeX inputs are followed below this folder only
  extract::Kind kind = extract::Kind::plain;
  std::uint64_t bytes = 0;
  bool part =
      false;  ///< no document of its own: drawn in by another .tex file, or a PDF beside the .tex it was made from
};

struct InputList {
  std::vector<InputFile> files;                    ///< sorted by name
  std::map<std::string, std::uint64_t> skipped{};  ///< files of other kinds, by their ending
};

/// Files below `inputs` (folders, entered recursively, and files); names that begin with a dot are left out, and so is
/// a file that was met before. Throws Error (status 2) for an input that is not there or cannot be read.
InputList list_inputs(const std::vector<std::string>& inputs);

/// A piece of work: a whole file, or of a .jsonl file the lines that begin within [begin, end).
struct Unit {
  std::uint32_t file = 0;  ///< index into InputList::files
  std::uint64_t begin = 0, end = 0;
};
/// In the files' order. jsonl files are cut every `slice` bytes.
std::vector<Unit> make_units(const std::vector<InputFile>& files, std::uint64_t slice);

/// The rank that works on each unit: longest first, each to the rank with the least so far. `cost[i]` > 0.
std::vector<int> assign_units(const std::vector<std::uint64_t>& cost, int ranks);

}  // namespace eddy::shard
