#pragma once
// HDF5 files behind move-only handles: groups, contiguous datasets, hyperslabs, attributes; one process or the ranks of
// an MPI communicator. Every failure is an Error that names the file, the dataset and HDF5's own deepest message:
// status 2 when reading or opening for reading, 1 when writing. HDF5 prints nothing itself, and is used from one thread
// at a time. Files hold no time stamps: the same calls give the same bytes.
#include <mpi.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace eddy::io {

enum class H5Type : std::uint8_t { u8, i8, u16, i32, u32, i64, u64, f32, f64 };
std::size_t size_of(H5Type type);
template <class T>
H5Type h5_type_of();  ///< defined for the C++ types of the enumeration; bf16 travels as u16, fp8 as u8

template <>
H5Type h5_type_of<std::uint8_t>();
template <>
H5Type h5_type_of<std::int8_t>();
template <>
H5Type h5_type_of<std::uint16_t>();
template <>
H5Type h5_type_of<std::int32_t>();
template <>
H5Type h5_type_of<std::uint32_t>();
template <>
H5Type h5_type_of<std::int64_t>();
template <>
H5Type h5_type_of<std::uint64_t>();
template <>
H5Type h5_type_of<float>();
template <>
H5Type h5_type_of<double>();

/// HDF5's own records of a file that was laid out in memory: its datasets have their places, but no bytes.
struct H5Image {
  std::uint64_t bytes = 0;                     ///< size of the file
  std::map<std::uint64_t, std::string> parts;  ///< by offset, disjoint; what lies in no part and no dataset is zero
};

enum class H5Transfer { independent, collective };

struct H5Options {
  MPI_Comm comm = MPI_COMM_NULL;   ///< the ranks that open the file together; null: this process alone
  bool locking = false;            ///< flock the file (many parallel file systems refuse)
  std::uint64_t alignment = 64;    ///< bytes: where objects of at least ...
  std::uint64_t aligned_from = 1;  ///< ... this size begin in the file
  std::uint64_t record_block = 0;  ///< bytes in which HDF5 takes space for its records; 0: its default
  H5Image* image = nullptr;        ///< create() lays the file out there, complete when it is closed; no disk is touched
};

/// A region of a dataset. A count of 0 in any dimension selects nothing: how a rank takes part in a collective call
/// without data of its own.
struct H5Slab {
  std::vector<std::uint64_t> start, count;
};

/// An owned HDF5 identifier; the destructor closes it.
class H5Id {
 public:
  using Close = int (*)(std::int64_t);
  H5Id() = default;
  H5Id(std::int64_t id, Close close) : id_(id), close_(close) {}
  ~H5Id() { reset(); }
  H5Id(H5Id&& o) noexcept : id_(o.id_), close_(o.close_) { o.id_ = -1; }
  H5Id& operator=(H5Id&& o) noexcept;
  std::int64_t get() const { return id_; }
  int reset() noexcept;  ///< closes now; what HDF5 answered (negative: failed)

 private:
  std::int64_t id_ = -1;
  Close close_ = nullptr;
};

/// What attributes hang on: a group or a dataset. Under MPI attributes are written by all ranks together, alike.
class H5Object {
 public:
  /// Creates the attribute, or overwrites one of the same type (and length, for strings).
  void write_attribute(const std::string& name, std::uint64_t value);
  void write_attribute(const std::string& name, double value);
  void write_attribute(const std::string& name, const std::string& value);
  bool has_attribute(const std::string& name) const;
  std::uint64_t read_u64(const std::string& name) const;
  double read_f64(const std::string& name) const;
  std::string read_string(const std::string& name) const;

  const std::string& name() const { return name_; }  ///< path within the file, "/" for the root
  const std::filesystem::path& file() const { return file_; }

 protected:
  H5Object(H5Id id, std::filesystem::path file, std::string name);
  std::int64_t attribute(const std::string& name, std::int64_t type, std::int64_t space);
  void read_attribute(const std::string& name, std::int64_t memory_type, void* out) const;
  H5Id id_;
  std::filesystem::path file_;
  std::string name_;
};

class H5Dataset : public H5Object {
 public:
  const std::vector<std::uint64_t>& shape() const { return shape_; }
  std::uint64_t count() const;  ///< elements
  H5Type type() const { return type_; }
  /// Where its bytes begin in the file, little-endian and in row-major order; nothing for an empty or chunked dataset.
  std::optional<std::uint64_t> file_offset() const;

  // `data` holds the slab's elements in row-major order; at most 2 GiB a call under MPI.
  void write(const H5Slab& slab, const void* data, H5Type memory, H5Transfer how = H5Transfer::independent);
  void read(const H5Slab& slab, void* data, H5Type memory, H5Transfer how = H5Transfer::independent) const;
  /// The whole dataset, any rank, flattened. Fails when the stored type is another.
  template <class T>
  std::vector<T> read_all() const;

 private:
  friend class H5Group;
  H5Dataset(H5Id id, std::filesystem::path file, std::string name);
  std::vector<std::uint64_t> shape_;
  H5Type type_ = H5Type::u8;
};

/// Under MPI, creating and opening is collective: all ranks make the same calls in the same order.
class H5Group : public H5Object {
 public:
  H5Group create_group(const std::string& name);
  H5Group group(const std::string& name) const;
  /// Contiguous, allocated at once, not filled: every element must be written. An empty shape entry (0) is allowed.
  H5Dataset create_dataset(const std::string& name, H5Type type, const std::vector<std::uint64_t>& shape);
  H5Dataset dataset(const std::string& name) const;
  bool has(const std::string& name) const;
  std::vector<std::string> children() const;  ///< names of groups and datasets directly below, sorted

 private:
  friend class H5File;
  H5Group(H5Id id, std::filesystem::path file, std::string name);
  std::string below(const std::string& name) const;
};

class H5File {
 public:
  static H5File create(const std::filesystem::path& path, const H5Options& options = {});  ///< truncates
  static H5File open(const std::filesystem::path& path, const H5Options& options = {}, bool write = false);
  ~H5File();
  H5File(H5File&&) noexcept = default;
  H5File& operator=(H5File&&) = delete;

  H5Group root() const;
  const std::filesystem::path& path() const { return path_; }
  void flush();
  /// Closes and reports what could not be written; the destructor closes in silence. Close datasets and groups before.
  void close();

 private:
  H5File(H5Id id, std::filesystem::path path, bool write) : id_(std::move(id)), path_(std::move(path)), write_(write) {}
  H5Id id_;
  std::filesystem::path path_;
  bool write_;
};

}  // namespace eddy::io
