# Every dependency and its minimum version, checked here and listed in the README.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "Eddy needs g++ 12 or newer (C++20); found ${CMAKE_CXX_COMPILER_VERSION}")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
  message(FATAL_ERROR "Eddy needs clang 15 or newer (C++20); found ${CMAKE_CXX_COMPILER_VERSION}")
endif()

if(EDDY_CUDA)
  include(EddyCuda)
endif()

find_package(Threads REQUIRED)
find_package(OpenMP 4.5 REQUIRED COMPONENTS CXX)
find_package(MPI 3.1 REQUIRED COMPONENTS C)
# mpi.h would else declare the removed C++ bindings, which only libmpi_cxx defines.
target_compile_definitions(MPI::MPI_C INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
find_package(Boost 1.74 REQUIRED COMPONENTS program_options)
find_package(PkgConfig REQUIRED)

# HDF5 with MPI. Debian and Ubuntu install the serial and the parallel build side by side.
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 1.10 COMPONENTS C)
if(NOT HDF5_FOUND OR NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "Eddy needs HDF5 >= 1.10 built with MPI (Debian, Ubuntu: libhdf5-openmpi-dev; "
                      "clusters: module load hdf5-parallel; Spack: hdf5+mpi). Found: ${HDF5_VERSION} parallel=${HDF5_IS_PARALLEL}")
endif()
add_library(eddy_hdf5 INTERFACE)
target_include_directories(eddy_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(eddy_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_C)
target_compile_definitions(eddy_hdf5 INTERFACE H5_USE_110_API)

# A BLAS with the C interface; OpenBLAS built on OpenMP shares its threads with Eddy's own loops.
set(BLA_PREFER_PKGCONFIG ON)
find_path(EDDY_CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas-openmp openblas openblas-pthread
          PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} REQUIRED)
find_library(EDDY_CBLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-openmp REQUIRED)
add_library(eddy_blas INTERFACE)
target_include_directories(eddy_blas SYSTEM INTERFACE ${EDDY_CBLAS_INCLUDE})
target_link_libraries(eddy_blas INTERFACE ${EDDY_CBLAS_LIBRARY})

find_package(fmt 9 REQUIRED)
# The compiled library builds Eddy in a fraction of the time; without it fmt's headers are enough.
option(EDDY_FMT_HEADER_ONLY "Use fmt as a header-only library" OFF)
set(EDDY_FMT fmt::fmt)
if(EDDY_FMT_HEADER_ONLY)
  set(EDDY_FMT fmt::fmt-header-only)
endif()
find_package(nlohmann_json 3.11 REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.40)
if(EDDY_DATA)
  pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc>=70)
  pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive>=3.6)
  pkg_check_modules(POPPLER IMPORTED_TARGET poppler-cpp>=22)
  if(NOT POPPLER_FOUND)
    message(STATUS "poppler-cpp not found: PDF input is left out (eddy-shard says so when it meets a PDF)")
  endif()
endif()

add_library(eddy_options INTERFACE)  # flags every target of ours is built with
set(options -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-unknown-pragmas
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # false alarms on std::string in g++ 12 (GCC bug 105651)
  $<$<BOOL:${EDDY_WERROR}>:-Werror> $<$<BOOL:${EDDY_ARCH}>:-march=${EDDY_ARCH}>
  -fno-math-errno -fno-trapping-math)  # no -ffast-math: NaN and infinity are detected on purpose
target_compile_options(eddy_options INTERFACE "$<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:${options}>")
if(EDDY_SANITIZE)
  target_compile_options(eddy_options INTERFACE -fsanitize=${EDDY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # false alarms with sanitizers, on <regex> for one (GCC's manual says so)
  target_link_options(eddy_options INTERFACE -fsanitize=${EDDY_SANITIZE})
endif()
if(EDDY_FUZZ)
  target_compile_options(eddy_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
