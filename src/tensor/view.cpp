#include "tensor/view.h"

#include <fmt/ranges.h>

namespace eddy::tensor {

Shape::Shape(std::initializer_list<std::int64_t> dims) : Shape(std::vector<std::int64_t>(dims)) {}
Shape::Shape(const std::vector<std::int64_t>& dims) {
  if (dims.size() > 4) fail_run("a shape has at most four extents, not {}", dims.size());
  for (const auto d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
}
bool Shape::operator==(const Shape& o) const {
  if (rank_ != o.rank_) return false;
  for (int i = 0; i < rank_; ++i)
    if ((*this)[i] != o[i]) return false;
  return true;
}
std::string Shape::text() const {
  return fmt::format("[{}]", fmt::join(vector(), ", "));
}

View View::row_range(std::int64_t begin, std::int64_t end) const {
  if (begin < 0 || end < begin || end > shape[0]) fail_run("rows [{}, {}) of {}", begin, end, shape.text());
  auto dims = shape.vector();
  dims[0] = end - begin;
  View v = *this;
  v.shape = Shape(dims);
  v.data = static_cast<char*>(data) + begin * row_stride * static_cast<std::int64_t>(size_of(dtype));
  return v;
}
View View::col_range(std::int64_t begin, std::int64_t end) const {
  if (shape.rank() != 2 || begin < 0 || end < begin || end > shape[1])
    fail_run("columns [{}, {}) of {}", begin, end, shape.text());
  View v = *this;
  v.shape = {shape[0], end - begin};
  v.data = static_cast<char*>(data) + begin * static_cast<std::int64_t>(size_of(dtype));
  return v;
}
View View::reshape(const Shape& s) const {
  if (!contiguous() || s.numel() != numel()) fail_run("{} cannot be seen as {}", shape.text(), s.text());
  return View(data, dtype, s);
}
void View::wrong_type(Dtype asked) const {
  fail_run("a view {} of {} was used as {}", shape.text(), name_of(dtype), name_of(asked));
}

}  // namespace eddy::tensor
