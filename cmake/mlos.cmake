# SPDX-License-Identifier: Apache-2.0
# Build rules shared by every room of src/.
#
#   mlos_room(NAME SOURCES a.cc ... [DEPS mlos_base ...])     static library mlos_NAME
#   mlos_room_test(NAME SOURCES a_test.cc ... [DEPS ...])     one test binary per room
#   mlos_fuzzer(NAME SOURCES a_fuzz.cc ... [DEPS ...])        a libFuzzer target

find_package(Threads REQUIRED)

# Compilers run through ccache where there is one.  Paths below the tree are made relative,
# so that another clone or worktree of it finds the same results.
find_program(MLOS_CCACHE ccache)
mark_as_advanced(MLOS_CCACHE)
if(MLOS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${MLOS_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
add_compile_options(-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)  # __FILE__ tells nothing of the machine

add_library(mlos_flags INTERFACE)
target_compile_options(mlos_flags INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers
  -fvisibility=hidden -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(mlos_flags INTERFACE -Wthread-safety -Werror=thread-safety)
else()
  target_compile_options(mlos_flags INTERFACE -Wshadow=local)
endif()
target_compile_options(mlos_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
target_include_directories(mlos_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(mlos_flags INTERFACE Threads::Threads)

if(MLOS_SANITIZE)
  add_compile_options(-fsanitize=${MLOS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MLOS_SANITIZE})
endif()
if(MLOS_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

function(mlos_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(mlos_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(mlos_${name} PUBLIC mlos_flags ${ARG_DEPS})
endfunction()

# gtest is heavy to parse: every room's test reuses one precompiled header.
if(MLOS_BUILD_TESTS)
  find_package(GTest REQUIRED)
  if(NOT EXISTS ${CMAKE_BINARY_DIR}/generated/test_pch.cc)  # or every configure rebuilds it
    file(WRITE ${CMAKE_BINARY_DIR}/generated/test_pch.cc "")
  endif()
  add_library(mlos_test_pch OBJECT ${CMAKE_BINARY_DIR}/generated/test_pch.cc)
  target_link_libraries(mlos_test_pch PUBLIC mlos_flags GTest::gmock GTest::gtest)
  # Compiled as the test programs are, or the compilers refuse the header.
  set_target_properties(mlos_test_pch PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(mlos_test_pch PRIVATE -fPIE)
  target_precompile_headers(mlos_test_pch PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <algorithm> <atomic> <memory> <string> <string_view>
    <thread> <vector>)
endif()

# A busy machine is no hang, and sanitizers are slow.
set(MLOS_TEST_TIMEOUT 300)
if(MLOS_SANITIZE)
  set(MLOS_TEST_TIMEOUT 900)
endif()

function(mlos_room_test name)
  if(NOT MLOS_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  target_precompile_headers(${name}_test REUSE_FROM mlos_test_pch)
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPS} mlos_flags
    GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${name}_test PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name}_test COMMAND ${name}_test)
  set_tests_properties(${name}_test PROPERTIES TIMEOUT ${MLOS_TEST_TIMEOUT})
endfunction()

function(mlos_fuzzer name)
  if(NOT MLOS_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} mlos_flags)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()
