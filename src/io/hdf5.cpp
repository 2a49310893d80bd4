#include "io/hdf5.h"

#include <algorithm>
#include <utility>

#include "comm/abort.h"
#include "io/hdf5_check.h"
#include "io/hdf5_image.h"

namespace eddy::io {
using namespace detail;
namespace fs = std::filesystem;

H5Id& H5Id::operator=(H5Id&& o) noexcept {
  if (this != &o) {
    reset();
    close_ = o.close_;
    id_ = std::exchange(o.id_, -1);
  }
  return *this;
}

int H5Id::reset() noexcept {
  const std::int64_t id = std::exchange(id_, -1);
  return id >= 0 && close_ ? close_(id) : 0;
}

namespace {
H5Id access_list(const H5Options& options) {
  start_hdf5();
  H5Id list = property_list(H5P_FILE_ACCESS);
  bool good = true;
#if H5_VERSION_GE(1, 10, 7)
  good = good && H5Pset_file_locking(list.get(), options.locking, true) >= 0;
#endif
  // The 1.10 format has checksums over all its metadata, so a flipped bit there is found on reading.
  good = good && H5Pset_libver_bounds(list.get(), H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0;
  good = good && H5Pset_alignment(list.get(), options.aligned_from, std::max<std::uint64_t>(options.alignment, 1)) >= 0;
  if (options.record_block) good = good && H5Pset_meta_block_size(list.get(), options.record_block) >= 0;
  good = good && H5Pset_fclose_degree(list.get(), H5F_CLOSE_SEMI) >= 0;
  if (options.comm != MPI_COMM_NULL) {
    good = good && H5Pset_fapl_mpio(list.get(), options.comm, MPI_INFO_NULL) >= 0;
    good = good && H5Pset_all_coll_metadata_ops(list.get(), true) >= 0 &&
           H5Pset_coll_metadata_write(list.get(), true) >= 0;
  }
  if (options.image) good = good && use_image(list.get(), *options.image);
  if (!good) fail_run("HDF5 refuses the file access options: {}", deepest_message());
  return list;
}

int close_file(std::int64_t id) {
  const int result = H5Fclose(id);
  if (result < 0) comm::forbid_finalize();  // HDF5 keeps what it has freed, and frees it again within MPI_Finalize
  return result;
}
}  // namespace

H5File H5File::create(const fs::path& path, const H5Options& options) {
  const H5Id access = access_list(options), creation = property_list(H5P_FILE_CREATE);
  H5Pset_obj_track_times(creation.get(), false);
  return {checked(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), close_file, Exit::failed, path,
                  "", "create the file"),
          path, true};
}

H5File H5File::open(const fs::path& path, const H5Options& options, bool write) {
  const H5Id access = access_list(options);
  return {checked(H5Fopen(path.c_str(), write ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access.get()), close_file,
                  Exit::unusable, path, "", "open it as HDF5"),
          path, write};
}

H5File::~H5File() = default;

H5Group H5File::root() const {
  return {checked(H5Gopen2(id_.get(), "/", H5P_DEFAULT), H5Gclose, Exit::unusable, path_, "/", "open the group"), path_,
          "/"};
}

void H5File::flush() {
  check(H5Fflush(id_.get(), H5F_SCOPE_LOCAL), Exit::failed, path_, "", "write the file");
}

void H5File::close() {
  if (id_.reset() < 0) fail_hdf5(write_ ? Exit::failed : Exit::unusable, path_, "", "close the file");
}

H5Object::H5Object(H5Id id, fs::path file, std::string name)
    : id_(std::move(id)), file_(std::move(file)), name_(std::move(name)) {}
H5Group::H5Group(H5Id id, fs::path file, std::string name)
    : H5Object(std::move(id), std::move(file), std::move(name)) {}

std::string H5Group::below(const std::string& name) const {
  return name_ == "/" ? "/" + name : name_ + "/" + name;
}

H5Group H5Group::create_group(const std::string& name) {
  const H5Id creation = property_list(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(creation.get(), false);
  return {checked(H5Gcreate2(id_.get(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Gclose, Exit::failed,
                  file_, below(name), "create the group"),
          file_, below(name)};
}

H5Group H5Group::group(const std::string& name) const {
  return {checked(H5Gopen2(id_.get(), name.c_str(), H5P_DEFAULT), H5Gclose, Exit::unusable, file_, below(name),
                  "open the group"),
          file_, below(name)};
}

H5Dataset H5Group::create_dataset(const std::string& name, H5Type type, const std::vector<std::uint64_t>& shape) {
  const H5Id creation = property_list(H5P_DATASET_CREATE), space = simple_space(shape);
  H5Pset_obj_track_times(creation.get(), false);
  H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  return {checked(H5Dcreate2(id_.get(), name.c_str(), file_type(type), space.get(), H5P_DEFAULT, creation.get(),
                             H5P_DEFAULT),
                  H5Dclose, Exit::failed, file_, below(name), "create the dataset"),
          file_, below(name)};
}

H5Dataset H5Group::dataset(const std::string& name) const {
  return {checked(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), H5Dclose, Exit::unusable, file_, below(name),
                  "open the dataset"),
          file_, below(name)};
}

bool H5Group::has(const std::string& name) const {
  const htri_t found = H5Lexists(id_.get(), name.c_str(), H5P_DEFAULT);
  if (found < 0) fail_hdf5(Exit::unusable, file_, below(name), "look it up");
  return found > 0;
}

std::vector<std::string> H5Group::children() const {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  check(H5Literate(id_.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, add, &names), Exit::unusable, file_, name_,
        "list it");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace eddy::io
