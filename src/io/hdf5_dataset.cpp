// Datasets and attributes.
#include <algorithm>
#include <functional>
#include <numeric>

#include "io/hdf5_check.h"

namespace eddy::io {
using namespace detail;

std::size_t size_of(H5Type type) {
  switch (type) {
    case H5Type::u8:
    case H5Type::i8:
      return 1;
    case H5Type::u16:
      return 2;
    case H5Type::i32:
    case H5Type::u32:
    case H5Type::f32:
      return 4;
    default:
      return 8;
  }
}
template <>
H5Type h5_type_of<std::uint8_t>() {
  return H5Type::u8;
}
template <>
H5Type h5_type_of<std::int8_t>() {
  return H5Type::i8;
}
template <>
H5Type h5_type_of<std::uint16_t>() {
  return H5Type::u16;
}
template <>
H5Type h5_type_of<std::int32_t>() {
  return H5Type::i32;
}
template <>
H5Type h5_type_of<std::uint32_t>() {
  return H5Type::u32;
}
template <>
H5Type h5_type_of<std::int64_t>() {
  return H5Type::i64;
}
template <>
H5Type h5_type_of<std::uint64_t>() {
  return H5Type::u64;
}
template <>
H5Type h5_type_of<float>() {
  return H5Type::f32;
}
template <>
H5Type h5_type_of<double>() {
  return H5Type::f64;
}

H5Dataset::H5Dataset(H5Id id, std::filesystem::path file, std::string name)
    : H5Object(std::move(id), std::move(file), std::move(name)) {
  const H5Id space = checked(H5Dget_space(id_.get()), H5Sclose, Exit::unusable, file_, name_, "read its shape");
  const H5Id stored = checked(H5Dget_type(id_.get()), H5Tclose, Exit::unusable, file_, name_, "read its type");
  const int rank = H5Sget_simple_extent_ndims(space.get());
  if (rank < 0) fail_hdf5(Exit::unusable, file_, name_, "read its shape");
  shape_.resize(static_cast<std::size_t>(rank));
  if (rank > 0) H5Sget_simple_extent_dims(space.get(), reinterpret_cast<hsize_t*>(shape_.data()), nullptr);
  for (H5Type t : {H5Type::u8, H5Type::i8, H5Type::u16, H5Type::i32, H5Type::u32, H5Type::i64, H5Type::u64, H5Type::f32,
                   H5Type::f64})
    if (H5Tequal(stored.get(), file_type(t)) > 0) {
      type_ = t;
      return;
    }
  fail_input("{}: '{}': its element type is none that Eddy writes", file_.string(), name_);
}

std::uint64_t H5Dataset::count() const {
  return std::accumulate(shape_.begin(), shape_.end(), std::uint64_t{1}, std::multiplies<>());
}

std::optional<std::uint64_t> H5Dataset::file_offset() const {
  const haddr_t at = H5Dget_offset(id_.get());
  if (at == HADDR_UNDEF) {
    H5Eclear2(H5E_DEFAULT);
    return std::nullopt;
  }
  return at;
}

namespace {
struct Selection {
  H5Id memory, file, transfer;
};
Selection select(std::int64_t dataset, const H5Slab& slab, const std::vector<std::uint64_t>& shape, H5Transfer how,
                 Exit status, const std::filesystem::path& file, const std::string& name) {
  if (slab.start.size() != shape.size() || slab.count.size() != shape.size())
    fail_run("{}: '{}': a slab of {} dimensions for a dataset of {}", file.string(), name, slab.count.size(),
             shape.size());
  bool empty = false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    empty = empty || slab.count[d] == 0;
    if (slab.start[d] > shape[d] || slab.count[d] > shape[d] - slab.start[d])
      fail_run("{}: '{}': slab [{}, +{}) of dimension {} is outside of its {} elements", file.string(), name,
               slab.start[d], slab.count[d], d, shape[d]);
  }
  Selection s{simple_space(slab.count), checked(H5Dget_space(dataset), H5Sclose, status, file, name, "read its shape"),
              property_list(H5P_DATASET_XFER)};
  if (empty) {
    H5Sselect_none(s.memory.get());
    H5Sselect_none(s.file.get());
  } else if (!shape.empty()) {
    const auto *start = reinterpret_cast<const hsize_t*>(slab.start.data()),
               *count = reinterpret_cast<const hsize_t*>(slab.count.data());
    check(H5Sselect_hyperslab(s.file.get(), H5S_SELECT_SET, start, nullptr, count, nullptr), status, file, name,
          "select a slab");
  }
  // Refused by files that are not opened under MPI, where there is nothing to choose.
  if (how == H5Transfer::collective && H5Pset_dxpl_mpio(s.transfer.get(), H5FD_MPIO_COLLECTIVE) < 0)
    H5Eclear2(H5E_DEFAULT);
  return s;
}
}  // namespace

void H5Dataset::write(const H5Slab& slab, const void* data, H5Type memory, H5Transfer how) {
  const Selection s = select(id_.get(), slab, shape_, how, Exit::failed, file_, name_);
  check(H5Dwrite(id_.get(), memory_type(memory), s.memory.get(), s.file.get(), s.transfer.get(), data), Exit::failed,
        file_, name_, "write");
}

void H5Dataset::read(const H5Slab& slab, void* data, H5Type memory, H5Transfer how) const {
  const Selection s = select(id_.get(), slab, shape_, how, Exit::unusable, file_, name_);
  check(H5Dread(id_.get(), memory_type(memory), s.memory.get(), s.file.get(), s.transfer.get(), data), Exit::unusable,
        file_, name_, "read");
}

template <class T>
std::vector<T> H5Dataset::read_all() const {
  if (type_ != h5_type_of<T>()) fail_input("{}: '{}': its element type is not the one expected", file_.string(), name_);
  std::vector<T> out(count());
  if (!out.empty()) read({std::vector<std::uint64_t>(shape_.size(), 0), shape_}, out.data(), type_);
  return out;
}
template std::vector<std::uint8_t> H5Dataset::read_all() const;
template std::vector<std::int8_t> H5Dataset::read_all() const;
template std::vector<std::uint16_t> H5Dataset::read_all() const;
template std::vector<std::int32_t> H5Dataset::read_all() const;
template std::vector<std::uint32_t> H5Dataset::read_all() const;
template std::vector<std::int64_t> H5Dataset::read_all() const;
template std::vector<std::uint64_t> H5Dataset::read_all() const;
template std::vector<float> H5Dataset::read_all() const;
template std::vector<double> H5Dataset::read_all() const;

// ---- attributes

bool H5Object::has_attribute(const std::string& name) const {
  const htri_t found = H5Aexists(id_.get(), name.c_str());
  if (found < 0) fail_hdf5(Exit::unusable, file_, name_, "look up attribute " + name);
  return found > 0;
}

std::int64_t H5Object::attribute(const std::string& name, std::int64_t type, std::int64_t space) {
  return has_attribute(name) ? H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT)
                             : H5Acreate2(id_.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
}

void H5Object::write_attribute(const std::string& name, std::uint64_t value) {
  const H5Id space = simple_space({});
  const H5Id a = checked(attribute(name, H5T_STD_U64LE, space.get()), H5Aclose, Exit::failed, file_, name_,
                         "create attribute " + name);
  check(H5Awrite(a.get(), H5T_NATIVE_UINT64, &value), Exit::failed, file_, name_, "write attribute " + name);
}

void H5Object::write_attribute(const std::string& name, double value) {
  const H5Id space = simple_space({});
  const H5Id a = checked(attribute(name, H5T_IEEE_F64LE, space.get()), H5Aclose, Exit::failed, file_, name_,
                         "create attribute " + name);
  check(H5Awrite(a.get(), H5T_NATIVE_DOUBLE, &value), Exit::failed, file_, name_, "write attribute " + name);
}

namespace {
H5Id string_type(std::size_t bytes) {  // fixed length: variable-length strings live in a heap without a checksum
  H5Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}
}  // namespace

void H5Object::write_attribute(const std::string& name, const std::string& value) {
  const H5Id space = simple_space({}), type = string_type(value.size());
  const H5Id a = checked(attribute(name, type.get(), space.get()), H5Aclose, Exit::failed, file_, name_,
                         "create attribute " + name);
  const H5Id stored =
      checked(H5Aget_type(a.get()), H5Tclose, Exit::failed, file_, name_, "read the type of attribute " + name);
  if (H5Tget_size(stored.get()) != H5Tget_size(type.get()))
    fail_run("{}: '{}': attribute {} is there with another length", file_.string(), name_, name);
  const std::string bytes = value.empty() ? std::string(1, '\0') : value;
  check(H5Awrite(a.get(), type.get(), bytes.data()), Exit::failed, file_, name_, "write attribute " + name);
}

void H5Object::read_attribute(const std::string& name, std::int64_t memory_type, void* out) const {
  const H5Id a = checked(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Aclose, Exit::unusable, file_, name_,
                         "open attribute " + name);
  const H5Id space =
      checked(H5Aget_space(a.get()), H5Sclose, Exit::unusable, file_, name_, "read the shape of attribute " + name);
  if (H5Sget_simple_extent_npoints(space.get()) != 1)
    fail_input("{}: '{}': attribute {} is not a single value", file_.string(), name_, name);
  check(H5Aread(a.get(), memory_type, out), Exit::unusable, file_, name_, "read attribute " + name);
}

std::uint64_t H5Object::read_u64(const std::string& name) const {
  std::uint64_t v = 0;
  read_attribute(name, H5T_NATIVE_UINT64, &v);
  return v;
}

double H5Object::read_f64(const std::string& name) const {
  double v = 0;
  read_attribute(name, H5T_NATIVE_DOUBLE, &v);
  return v;
}

std::string H5Object::read_string(const std::string& name) const {
  const H5Id a = checked(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Aclose, Exit::unusable, file_, name_,
                         "open attribute " + name);
  const H5Id stored =
      checked(H5Aget_type(a.get()), H5Tclose, Exit::unusable, file_, name_, "read the type of attribute " + name);
  if (H5Tget_class(stored.get()) != H5T_STRING || H5Tis_variable_str(stored.get()) != 0)
    fail_input("{}: '{}': attribute {} is not a string of fixed length", file_.string(), name_, name);
  std::string v(H5Tget_size(stored.get()), '\0');
  read_attribute(name, stored.get(), v.data());
  while (!v.empty() && v.back() == '\0') v.pop_back();
  return v;
}

}  // namespace eddy::io
