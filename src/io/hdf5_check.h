#pragma once
// The lower of the two HDF5 tiers: the library's start, its error stack as text, checked results. Only src/io includes
// it.
#include <hdf5.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "io/hdf5.h"

namespace eddy::io::detail {

/// Silences HDF5's own error print and its exit handler; any number of times.
void start_hdf5();
/// The innermost message on HDF5's error stack: what went wrong first.
std::string deepest_message();
/// Throws an Error "<file>: dataset 'x': cannot <what>: <HDF5's message>".
[[noreturn]] void fail_hdf5(Exit status, const std::filesystem::path& file, const std::string& object,
                            const std::string& what);

inline H5Id checked(hid_t id, H5Id::Close close, Exit status, const std::filesystem::path& file,
                    const std::string& object, const std::string& what) {
  if (id < 0) fail_hdf5(status, file, object, what);
  return {id, close};
}
inline void check(herr_t result, Exit status, const std::filesystem::path& file, const std::string& object,
                  const std::string& what) {
  if (result < 0) fail_hdf5(status, file, object, what);
}

/// An array of the error-free kind: property lists, simple spaces.
H5Id property_list(hid_t cls);
H5Id simple_space(const std::vector<std::uint64_t>& shape);
hid_t file_type(H5Type type);    ///< little-endian, as stored
hid_t memory_type(H5Type type);  ///< this machine's

}  // namespace eddy::io::detail
