# eddy_add_test(FILE.cpp NP 1 2 4 [GPU] [SLOW] [TIMEOUT s] [DEPS lib...] [FILTER expr])
# One Catch2 executable from FILE.cpp; one ctest per rank count, run under mpiexec when NP is given.
# Labels: unit (no NP), mpi (NP), gpu, slow. A failing rank fails the test (tests/test_main.cpp); a hang ends by TIMEOUT.
set(EDDY_TEST_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
  OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_base_warn_component_unused=0
  EDDY_SOURCE_DIR=${PROJECT_SOURCE_DIR} EDDY_BIN_DIR=${PROJECT_BINARY_DIR}/bin)

function(eddy_add_test file)
  cmake_parse_arguments(A "GPU;SLOW" "TIMEOUT" "NP;DEPS" ${ARGN})
  file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  string(REGEX REPLACE "\\.cpp$" "" stem ${relative})
  string(REPLACE "/" "." name ${stem})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  set(target test.${name})
  add_executable(${target} ${file})
  target_link_libraries(${target} PRIVATE ${A_DEPS} eddy_test_main eddy_base eddy_options)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set(labels)
  if(A_GPU)
    list(APPEND labels gpu)
  endif()
  if(A_SLOW)
    list(APPEND labels slow)
  endif()
  if(NOT A_NP)
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES LABELS "unit;${labels}" TIMEOUT ${A_TIMEOUT}
      ENVIRONMENT "${EDDY_TEST_ENVIRONMENT};OMP_NUM_THREADS=2" SKIP_RETURN_CODE 77)
    return()
  endif()
  foreach(np ${A_NP})
    add_test(NAME ${name}.np${np} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np} $<TARGET_FILE:${target}>)
    set_tests_properties(${name}.np${np} PROPERTIES LABELS "mpi;${labels}" TIMEOUT ${A_TIMEOUT} PROCESSORS 2
      ENVIRONMENT "${EDDY_TEST_ENVIRONMENT};OMP_NUM_THREADS=1" SKIP_RETURN_CODE 77)
  endforeach()
endfunction()
