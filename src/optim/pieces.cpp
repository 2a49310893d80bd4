#include "optim/pieces.h"

namespace eddy::optim {
namespace {

/// Appends elements [begin, end) of the axes from `axis` on; `prefix` holds the indices chosen in the axes before,
/// `first` the elements before them.
void cut(const parallel::ParameterInfo& info, std::size_t axis, std::vector<std::int64_t>& prefix, std::int64_t begin,
         std::int64_t end, std::int64_t first, std::vector<Box>& out) {
  if (begin >= end) return;
  std::int64_t inner = 1;  // elements in one index of this axis
  for (std::size_t a = axis + 1; a < info.extent.size(); ++a) inner *= info.extent[a];
  const std::int64_t whole_begin = (begin + inner - 1) / inner, whole_end = end / inner;
  const auto part = [&](std::int64_t index, std::int64_t from, std::int64_t to) {  // within one index of this axis
    prefix.push_back(index);
    cut(info, axis + 1, prefix, from - index * inner, to - index * inner, first + index * inner, out);
    prefix.pop_back();
  };
  if (whole_begin > whole_end) return part(begin / inner, begin, end);
  if (begin < whole_begin * inner) part(whole_begin - 1, begin, whole_begin * inner);
  if (whole_begin < whole_end) {
    Box box{info.begin, info.extent, first + whole_begin * inner};
    for (std::size_t a = 0; a < axis; ++a) {
      box.begin[a] += prefix[a];
      box.extent[a] = 1;
    }
    box.begin[axis] += whole_begin;
    box.extent[axis] = whole_end - whole_begin;
    out.push_back(std::move(box));
  }
  if (end > whole_end * inner) part(whole_end, whole_end * inner, end);
}

}  // namespace

std::int64_t Box::numel() const {
  std::int64_t n = 1;
  for (const auto e : extent) n *= e;
  return n;
}

std::vector<Box> boxes_of(const parallel::ParameterInfo& info, std::int64_t begin, std::int64_t end) {
  std::vector<Box> out;
  std::vector<std::int64_t> prefix;
  cut(info, 0, prefix, begin, end, 0, out);
  return out;
}

}  // namespace eddy::optim
