# What the CUDA build needs, and its minimum versions: checked here and listed in the README.
function(eddy_need_header_version name header pattern minimum hint)  # pattern: defines <pattern>_MAJOR and <pattern>_MINOR
  find_path(EDDY_${name}_INCLUDE ${header} HINTS ${CUDAToolkit_INCLUDE_DIRS} PATHS $ENV{${name}_ROOT}/include
            $ENV{${name}_HOME}/include)
  if(NOT EDDY_${name}_INCLUDE)
    message(FATAL_ERROR "EDDY_CUDA needs ${name} >= ${minimum} (${header} was not found; ${hint}; or set ${name}_ROOT)")
  endif()
  file(STRINGS ${EDDY_${name}_INCLUDE}/${header} lines REGEX "#define +${pattern}_(MAJOR|MINOR) ")
  string(REGEX REPLACE ".*_MAJOR +([0-9]+).*_MINOR +([0-9]+).*" "\\1.\\2" version "${lines}")
  if(NOT version VERSION_GREATER_EQUAL minimum)
    message(FATAL_ERROR "EDDY_CUDA needs ${name} >= ${minimum}; ${EDDY_${name}_INCLUDE}/${header} is version '${version}' (${hint})")
  endif()
endfunction()

find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR CUDAToolkit_VERSION VERSION_LESS 13.0)
  message(FATAL_ERROR "EDDY_CUDA needs the CUDA toolkit >= 13.0; found: '${CUDAToolkit_VERSION}' (module load cuda/13; Spack: cuda@13:)")
endif()
eddy_need_header_version(NCCL nccl.h NCCL 2.28 "module load nccl; Spack: nccl@2.28:")
eddy_need_header_version(CUDNN cudnn_version.h CUDNN 9.14 "module load cudnn; Spack: cudnn@9.14:")
# The build machine may have no GPU; where it has one, an old driver would fail only at run time.
if(EXISTS /proc/driver/nvidia/version)
  file(STRINGS /proc/driver/nvidia/version driver LIMIT_COUNT 1)
  string(REGEX REPLACE ".* ([0-9]+\\.[0-9.]+) .*" "\\1" driver "${driver}")
  if(driver VERSION_LESS 580)
    message(FATAL_ERROR "EDDY_CUDA needs NVIDIA's driver >= 580 (for CUDA 13.0); this machine's is '${driver}'")
  endif()
endif()

find_library(EDDY_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} PATHS $ENV{NCCL_ROOT}/lib $ENV{NCCL_HOME}/lib REQUIRED)
find_library(EDDY_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR} PATHS $ENV{CUDNN_ROOT}/lib $ENV{CUDNN_HOME}/lib REQUIRED)

# Header-only libraries: CUTLASS (the experts' products) and cudnn-frontend (attention's graphs).
# tools/cuda-headers puts both into build/headers.
function(eddy_need_headers variable header name)
  find_path(${variable} ${header} HINTS ${PROJECT_SOURCE_DIR}/build/headers PATHS $ENV{CUTLASS_ROOT}/include
            $ENV{CUDNN_FRONTEND_ROOT}/include)
  if(NOT ${variable})
    message(FATAL_ERROR "EDDY_CUDA needs the headers of ${name} (${header}): run tools/cuda-headers, or "
                        "set CUTLASS_ROOT and CUDNN_FRONTEND_ROOT (Spack: cutlass, cudnn-frontend)")
  endif()
endfunction()
eddy_need_headers(EDDY_CUTLASS_INCLUDE cutlass/cutlass.h "CUTLASS >= 4.2")
eddy_need_headers(EDDY_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h "cudnn-frontend >= 1.14")

set(CMAKE_CUDA_ARCHITECTURES OFF)  # CMake 3.25 knows no 90a: the flags below say it
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
enable_language(CUDA)
# CMake 3.25 does not know nvcc's flag for C++20.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} --expt-relaxed-constexpr --expt-extended-lambda -Xcompiler=-Wno-psabi")
# fmt 9 leaves constexpr out where it sees nvcc, and then cannot check its format strings.
string(APPEND CMAKE_CUDA_FLAGS " -DFMT_USE_CONSTEXPR=1")
if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
set(EDDY_CUDA_SM90 "-gencode=arch=compute_90a,code=sm_90a")
# Ampere gets code of its own and PTX, from which newer GPUs make theirs.
set(EDDY_CUDA_ALL "${EDDY_CUDA_SM90};-gencode=arch=compute_80,code=[sm_80,compute_80]")
