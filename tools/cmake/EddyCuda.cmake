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
message(FATAL_ERROR "This version of Eddy has no CUDA kernels yet: configure without EDDY_CUDA (cmake --preset cpu)")
