// One HDF5 file written and read by all ranks: collective and independent slabs, ranks without data, the same bytes
// always.
#include <mpi.h>

#include <cstring>
#include <numeric>

#include "catch.h"
#include "io/hdf5.h"
#include "support.h"

using namespace eddy::io;

namespace {
constexpr std::uint64_t kRows = 13, kColumns = 5;

int rank(MPI_Comm comm = MPI_COMM_WORLD) {
  int r = 0;
  MPI_Comm_rank(comm, &r);
  return r;
}
int size(MPI_Comm comm) {
  int n = 1;
  MPI_Comm_size(comm, &n);
  return n;
}
/// A folder all ranks see; rank 0's lives until `keep` is gone.
std::string shared_folder(const eddy_test::TempDir& keep) {
  char path[512] = {};
  std::strncpy(path, keep.path().c_str(), sizeof path - 1);
  MPI_Bcast(path, sizeof path, MPI_CHAR, 0, MPI_COMM_WORLD);
  return path;
}
/// Rank r writes rows r, r + size, …; the last rank has none in the second, collective, dataset.
void write_all(const std::string& path, MPI_Comm comm) {
  H5File file = H5File::create(path, {.comm = comm});
  {
    H5Group root = file.root();
    H5Dataset a = root.create_dataset("independent", H5Type::u32, {kRows, kColumns});
    for (auto row = static_cast<std::uint64_t>(rank(comm)); row < kRows;
         row += static_cast<std::uint64_t>(size(comm))) {
      std::vector<std::uint32_t> values(kColumns);
      std::iota(values.begin(), values.end(), static_cast<std::uint32_t>(row * kColumns));
      a.write({{row, 0}, {1, kColumns}}, values.data(), H5Type::u32);
    }
    H5Dataset b = root.create_dataset("collective", H5Type::f64, {kRows});
    const auto writers = static_cast<std::uint64_t>(size(comm) > 1 ? size(comm) - 1 : 1),
               me = static_cast<std::uint64_t>(rank(comm));
    const std::uint64_t begin = me < writers ? kRows * me / writers : 0,
                        end = me < writers ? kRows * (me + 1) / writers : 0;
    std::vector<double> values;
    for (std::uint64_t i = begin; i < end; ++i) values.push_back(0.5 * static_cast<double>(i));
    b.write({{begin}, {end - begin}}, values.data(), H5Type::f64, H5Transfer::collective);
    root.write_attribute("step", std::uint64_t{7});
    root.write_attribute("layout", "any");
  }
  file.close();
}
}  // namespace

TEST_CASE("all ranks write one file, and its bytes do not depend on their number") {
  const eddy_test::TempDir keep;
  const std::string dir = shared_folder(keep), path = dir + "/p.h5";
  write_all(path, MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);
  {
    const H5File file = H5File::open(path, {.comm = MPI_COMM_WORLD});
    const H5Group root = file.root();
    CHECK(root.read_u64("step") == 7);
    const auto a = root.dataset("independent").read_all<std::uint32_t>();
    std::vector<std::uint32_t> expected(kRows * kColumns);
    std::iota(expected.begin(), expected.end(), 0u);
    CHECK(a == expected);
    const H5Dataset b = root.dataset("collective");
    std::vector<double> values(kRows);
    b.read({{0}, {kRows}}, values.data(), H5Type::f64, H5Transfer::collective);
    for (std::size_t i = 0; i < kRows; ++i) CHECK(values[i] == 0.5 * static_cast<double>(i));
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank() == 0) {  // the serial driver reads it too, and a file written by one rank alone is the same
    CHECK(H5File::open(path).root().read_string("layout") == "any");
    write_all(dir + "/alone.h5", MPI_COMM_SELF);
    CHECK(eddy_test::read_file(path) == eddy_test::read_file(dir + "/alone.h5"));
  }
  MPI_Barrier(MPI_COMM_WORLD);
}
