# For vendors of modules.
#
# vmsec_add_module(NAME name SOURCES file... [LIBRARIES target...])
#   The shared object name.so, as hosts load it: nothing exported but the module's door, no RPATH,
#   nothing undefined. With -DVMSEC_SIGNING_KEY=file it is signed after each link: name.so.sig.
#   In C++ or C. What it may link is little: docs/write-a-module.md.
#
# vmsec_add_unit_test(NAME name SOURCES file... [LIBRARIES target...])
#   A ctest: a program with vmsec's headers that fails where something is wrong.
#
# vmsec_add_sim_test(MODULE name FOLDER dir)
#   A ctest: the module on a host of the simulated hypervisor. FOLDER has domains/*.toml (its VMs),
#   policy.toml, and check, a program that runs with `vmsec` reaching that host and fails where something
#   is wrong; where it has module.toml, that is put behind the host's configuration.

set(VMSEC_SIGNING_KEY "" CACHE FILEPATH "Private key that signs the modules; empty: they are not signed")

function(vmsec_add_module)
  cmake_parse_arguments(PARSE_ARGV 0 MODULE "" "NAME" "SOURCES;LIBRARIES")
  if(NOT MODULE_NAME MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "vmsec_add_module: NAME \"${MODULE_NAME}\": want a-z, 0-9 and _, a letter first")
  endif()
  if(NOT MODULE_SOURCES OR MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "vmsec_add_module(NAME name SOURCES file... [LIBRARIES target...]): SOURCES is missing, "
                        "or \"${MODULE_UNPARSED_ARGUMENTS}\" is not understood")
  endif()
  add_library(${MODULE_NAME} MODULE ${MODULE_SOURCES})
  # Not by linking vmsec::headers: its features are C++'s, and the module may be in C.
  target_include_directories(${MODULE_NAME} SYSTEM PRIVATE
    $<TARGET_PROPERTY:vmsec::headers,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${MODULE_NAME} PRIVATE ${MODULE_LIBRARIES})
  set_target_properties(${MODULE_NAME} PROPERTIES
    PREFIX "" SUFFIX ".so" POSITION_INDEPENDENT_CODE ON SKIP_BUILD_RPATH ON
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_VISIBILITY_PRESET hidden
    CXX_STANDARD 23 CXX_STANDARD_REQUIRED ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # The same sources give the same bytes, wherever they lie.
  target_compile_options(${MODULE_NAME} PRIVATE
    -Wall -Wextra -O2 -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=. -fstack-protector-strong)
  target_link_options(${MODULE_NAME} PRIVATE
    -Wl,--no-undefined -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--exclude-libs,ALL)
  if(VMSEC_SIGNING_KEY)
    get_filename_component(key "${VMSEC_SIGNING_KEY}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}/..")
    add_custom_command(TARGET ${MODULE_NAME} POST_BUILD
      COMMAND "${vmsec_TOOL}" module sign "$<TARGET_FILE:${MODULE_NAME}>" --key "${key}" VERBATIM)
    set_property(TARGET ${MODULE_NAME} APPEND PROPERTY LINK_DEPENDS "${key}")
  endif()
endfunction()

function(vmsec_add_sim_test)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "MODULE;FOLDER" "")
  if(NOT TARGET "${TEST_MODULE}" OR NOT TEST_FOLDER)
    message(FATAL_ERROR "vmsec_add_sim_test(MODULE name FOLDER dir): \"${TEST_MODULE}\" is no target, or FOLDER is missing")
  endif()
  get_filename_component(folder "${TEST_FOLDER}" ABSOLUTE)
  add_test(NAME ${TEST_MODULE}_on_sim COMMAND "${vmsec_CMAKE_DIR}/sim_test"
    "${vmsec_TOOL}" "${vmsec_AGENT}" "$<TARGET_FILE:${TEST_MODULE}>" "${folder}")
endfunction()

function(vmsec_add_unit_test)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "NAME" "SOURCES;LIBRARIES")
  if(NOT TEST_NAME OR NOT TEST_SOURCES)
    message(FATAL_ERROR "vmsec_add_unit_test(NAME name SOURCES file... [LIBRARIES target...]): something is missing")
  endif()
  add_executable(${TEST_NAME} ${TEST_SOURCES})
  target_include_directories(${TEST_NAME} SYSTEM PRIVATE
    $<TARGET_PROPERTY:vmsec::headers,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${TEST_NAME} PRIVATE ${TEST_LIBRARIES})
  set_target_properties(${TEST_NAME} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON CXX_STANDARD 23 CXX_STANDARD_REQUIRED ON)
  add_test(NAME ${TEST_NAME} COMMAND ${TEST_NAME})
endfunction()
