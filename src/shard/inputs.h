#pragma once
// What to read: the files below the inputs, cut into units of work, shared out to the ranks.
#include <cstdint>
#include <filesystem>
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
  bool store = false;  ///< papers.jsonl of a crawl's store; `root` is the store's folder
};

struct InputList {
  std::vector<InputFile> files;                    ///< sorted by name
  std::map<std::string, std::uint64_t> skipped{};  ///< files of other kinds, by their ending
};

/// Files below `inputs` (folders, entered recursively, and files); names that begin with a dot are left out, and so is
/// a file that was met before. A folder that is a crawl's store (paper.h) gives its papers.jsonl, named as the folder.
/// Throws Error (status 2) for an input that is not there or cannot be read, and for a crawl that has no papers yet.
InputList list_inputs(const std::vector<std::string>& inputs);
/// Throws Error (status 2) when `out` lies within an input folder, or one within it.
void check_apart(const std::vector<std::string>& inputs, const std::filesystem::path& out);

/// A piece of work: a whole file, or of a .jsonl file the lines that begin within [begin, end).
struct Unit {
  std::uint32_t file = 0;  ///< index into InputList::files
  std::uint64_t begin = 0, end = 0;
};
/// In the files' order. jsonl files are cut every `slice` bytes, a store's papers.jsonl every kStoreSlice at most.
std::vector<Unit> make_units(const std::vector<InputFile>& files, std::uint64_t slice);
inline constexpr std::uint64_t kStoreSlice = std::uint64_t{1} << 14;  ///< bytes: some ten papers
/// Roughly how much work a unit is, in bytes of text.
std::uint64_t cost_of(const Unit& unit, const std::vector<InputFile>& files);

/// Units that a rank takes at once.
struct Batch {
  std::vector<std::uint32_t> units;
  std::uint64_t cost = 0;
};
/// Units of `todo` in their order, put together until they cost `least` or more; the costliest batch first.
std::vector<Batch> make_batches(const std::vector<std::uint32_t>& todo, const std::vector<Unit>& units,
                                const std::vector<InputFile>& files, std::uint64_t least);

}  // namespace eddy::shard
