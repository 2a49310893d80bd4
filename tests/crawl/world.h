#pragma once
// A made-up literature: papers 0 … n-1 that cite each other, with ids, metadata and sources, all functions of the
// number.
#include <string>
#include <vector>

namespace eddy_test {

struct WorldPaper {
  int number;
  std::string s2, arxiv, doi;  // "" where it has none
  std::string title, abstract, date;
  int year;
  bool at_s2;  // Semantic Scholar knows it
  std::vector<int> references;
};

class World {
 public:
  explicit World(int papers) : papers_(papers) {}
  int size() const { return papers_; }
  WorldPaper paper(int number) const;
  /// By "ARXIV:…", "DOI:…" or the sha; -1 for none.
  int by_name(const std::string& name) const;
  int by_doi(const std::string& doi) const;
  int by_arxiv(const std::string& id) const;  ///< with or without version
  /// The e-print: a tar.gz, a gzipped file or a PDF; "" where arXiv has no source.
  std::string eprint(int number) const;
  std::string pdf(int number) const;

 private:
  int papers_;
};

std::string gzip(const std::string& bytes);
/// `bytes` zeros, packed.
std::string gzip_zeros(std::size_t bytes);

}  // namespace eddy_test
