#include "world.h"

#include <fmt/format.h>
#include <zlib.h>

#include <stdexcept>

namespace eddy_test {
namespace {

constexpr const char* kWords[] = {"vortex",  "cascade", "boundary", "layer", "spectral",  "energy",
                                  "channel", "helical", "forced",   "shear", "isotropic", "wall"};
std::string word(int i) {
  return kWords[i % 12];
}

/// An archive with one file, as `tar` makes it.
std::string tar(const std::string& name, const std::string& content) {
  std::string h(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { h.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  put(148, "        ");
  h[156] = '0';
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  std::string all = h + content;
  all.resize((all.size() + 511) / 512 * 512, '\0');
  return all + std::string(1024, '\0');
}

}  // namespace

WorldPaper World::paper(int i) const {
  WorldPaper p;
  p.number = i;
  p.s2 = fmt::format("{:040x}", 0xabc000 + i);
  if (i % 2 == 0) p.arxiv = fmt::format("2101.{:05}", i + 1);
  if (i % 3 == 0) p.doi = fmt::format("10.5555/test.{}", i);
  p.title = fmt::format("The {} of {} flow in case {}", word(i), word(i * 5 + 1), i);
  if (i % 7 != 3)
    p.abstract = fmt::format("We measure the turbulence of a {} flow. Its {} grows.", word(i), word(i + 2));
  p.year = 1990 + i % 30;
  p.date = fmt::format("{}-{:02}-{:02}", p.year, 1 + i % 12, 1 + i % 28);
  p.at_s2 = i % 17 != 9;
  for (int k = 0; k < 5; ++k) p.references.push_back((i * 4 + 5 * k + 1) % papers_);
  return p;
}

int World::by_name(const std::string& name) const {
  if (name.starts_with("ARXIV:")) return by_arxiv(name.substr(6));
  if (name.starts_with("DOI:")) return by_doi(name.substr(4));
  for (int i = 0; i < papers_; ++i)
    if (paper(i).s2 == name) return i;
  return -1;
}
int World::by_doi(const std::string& doi) const {
  for (int i = 0; i < papers_; ++i)
    if (!doi.empty() && paper(i).doi == doi) return i;
  return -1;
}
int World::by_arxiv(const std::string& id) const {
  const std::string bare = id.substr(0, id.find('v'));
  for (int i = 0; i < papers_; ++i)
    if (!bare.empty() && paper(i).arxiv == bare) return i;
  return -1;
}

std::string gzip(const std::string& bytes) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("zlib");
  std::string out(deflateBound(&z, bytes.size()) + 32, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("zlib");
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string gzip_zeros(std::size_t bytes) {
  std::string packed = gzip(std::string(bytes, '\0'));
  return packed;
}

std::string World::eprint(int i) const {
  if (i % 14 == 4) return "";  // withdrawn, or the source is not public
  if (i % 10 == 0) return pdf(i);
  std::string text = fmt::format("\\documentclass{{article}}\n\\begin{{document}}\n{}\n", paper(i).title);
  for (int k = 0; k < 200; ++k)
    text += fmt::format("Line {} of paper {}: $E_{{{}}} = {}$.\n", k, i, k, (i * 7919 + k * 104729) % 10007);
  text += "\\end{document}\n";
  return i % 10 == 2 ? gzip(text) : gzip(tar("main.tex", text));
}

std::string World::pdf(int i) const {
  return fmt::format("%PDF-1.4\n% paper {}\n{}\n%%EOF\n", i, std::string(static_cast<std::size_t>(2000 + i), 'x'));
}

}  // namespace eddy_test
