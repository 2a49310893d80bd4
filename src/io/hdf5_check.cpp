#include "io/hdf5_check.h"

#include <algorithm>
#include <mutex>
#include <string_view>

namespace eddy::io::detail {

void start_hdf5() {
  static std::once_flag once;
  std::call_once(once, [] {
    // A file whose close failed (disk full) would be flushed again at exit, perhaps after MPI's end: leave it.
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  });
}

std::string deepest_message() {
  std::string text;
  const auto first = [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
    if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first, &text);
  H5Eclear2(H5E_DEFAULT);
  // "file write failed: time = …, filename = …, error message = 'File too large', buf = …": the system's words are
  // enough.
  static constexpr std::string_view kWords = "error message = '";
  if (const auto words = text.find(kWords), time = text.find(": time = "); std::max(words, time) != std::string::npos) {
    const auto begin = words + kWords.size();
    text = text.substr(0, time) + ": " + text.substr(begin, text.find('\'', begin) - begin);
  }
  return text.empty() ? "no message from HDF5" : text;
}

void fail_hdf5(Exit status, const std::filesystem::path& file, const std::string& object, const std::string& what) {
  const std::string where = object.empty() ? "" : fmt::format("'{}': ", object);
  throw Error(status, fmt::format("{}: {}cannot {}: {}", file.string(), where, what, deepest_message()));
}

H5Id property_list(hid_t cls) {
  const hid_t id = H5Pcreate(cls);
  if (id < 0) fail_run("HDF5 cannot make a property list: {}", deepest_message());
  return {id, H5Pclose};
}

H5Id simple_space(const std::vector<std::uint64_t>& shape) {
  static_assert(sizeof(hsize_t) == sizeof(std::uint64_t));
  const auto* dims = reinterpret_cast<const hsize_t*>(shape.data());
  const hid_t id =
      shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(shape.size()), dims, nullptr);
  if (id < 0) fail_run("HDF5 cannot make a data space of {} dimensions: {}", shape.size(), deepest_message());
  return {id, H5Sclose};
}

hid_t file_type(H5Type type) {
  switch (type) {
    case H5Type::u8:
      return H5T_STD_U8LE;
    case H5Type::i8:
      return H5T_STD_I8LE;
    case H5Type::u16:
      return H5T_STD_U16LE;
    case H5Type::i32:
      return H5T_STD_I32LE;
    case H5Type::u32:
      return H5T_STD_U32LE;
    case H5Type::i64:
      return H5T_STD_I64LE;
    case H5Type::u64:
      return H5T_STD_U64LE;
    case H5Type::f32:
      return H5T_IEEE_F32LE;
    default:
      return H5T_IEEE_F64LE;
  }
}

hid_t memory_type(H5Type type) {
  switch (type) {
    case H5Type::u8:
      return H5T_NATIVE_UINT8;
    case H5Type::i8:
      return H5T_NATIVE_INT8;
    case H5Type::u16:
      return H5T_NATIVE_UINT16;
    case H5Type::i32:
      return H5T_NATIVE_INT32;
    case H5Type::u32:
      return H5T_NATIVE_UINT32;
    case H5Type::i64:
      return H5T_NATIVE_INT64;
    case H5Type::u64:
      return H5T_NATIVE_UINT64;
    case H5Type::f32:
      return H5T_NATIVE_FLOAT;
    default:
      return H5T_NATIVE_DOUBLE;
  }
}

}  // namespace eddy::io::detail
