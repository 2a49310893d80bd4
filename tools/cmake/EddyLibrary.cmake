# eddy_add_library(NAME [SOURCES f...] [DEPS lib...]): the static library of one folder, eddy_NAME, from every
# *.cpp in the folder unless SOURCES are named. Include root: src/ (and the project root, for kernels/).
function(eddy_add_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  if(A_SOURCES)
    add_library(eddy_${name} STATIC ${A_SOURCES})
    target_include_directories(eddy_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
    target_link_libraries(eddy_${name} PUBLIC ${A_DEPS} PRIVATE eddy_options)
  else()
    add_library(eddy_${name} INTERFACE)
    target_include_directories(eddy_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
    target_link_libraries(eddy_${name} INTERFACE ${A_DEPS})
  endif()
endfunction()

# eddy_add_program(eddy-NAME SOURCES f... DEPS lib...): one program, in <build>/bin.
function(eddy_add_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} eddy_base eddy_options)
endfunction()
