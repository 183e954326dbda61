# vmsec_sign(TARGET module|plugin): signs the target's file after each link. The key is the build's own, made once, or
# VMSEC_SIGNING_KEY; lib/vmsec/trust.toml, which is installed beside libvmsec, trusts it.
set(VMSEC_SIGNING_KEY "" CACHE FILEPATH "Ed25519 private key (PEM) that signs modules and plugins; empty: one of the build's own")
set(VMSEC_SIGNING_NAME "vmsec-build" CACHE STRING "What the trust store calls that key")
find_program(VMSEC_OPENSSL openssl REQUIRED)

set(vmsec_key ${VMSEC_SIGNING_KEY})
if(NOT vmsec_key)
  set(vmsec_key ${PROJECT_BINARY_DIR}/signing.key)
  if(NOT EXISTS ${vmsec_key})
    execute_process(COMMAND sh -c "umask 077; exec \"$0\" genpkey -algorithm ED25519 -out \"$1\"" ${VMSEC_OPENSSL} ${vmsec_key}
                    COMMAND_ERROR_IS_FATAL ANY)
  endif()
endif()
execute_process(COMMAND sh -c "\"$0\" pkey -in \"$1\" -pubout -outform DER | tail -c 32 | base64" ${VMSEC_OPENSSL} ${vmsec_key}
                OUTPUT_VARIABLE vmsec_public_key OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

# Beside libvmsec in the build tree, and where it is installed from.
foreach(folder IN ITEMS lib/vmsec libvmsec/vmsec)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${folder}/trust.toml @ONLY CONTENT
"# Who signed the modules and plugins that came with libvmsec. What an operator trusts is in /etc/vmsec/trust.toml.
format = 1

[[key]]
name = \"@VMSEC_SIGNING_NAME@\"
public_key = \"@vmsec_public_key@\"
roles = [\"module\", \"plugin\"]
")
  file(CHMOD ${PROJECT_BINARY_DIR}/${folder}/trust.toml PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endforeach()
# An operator's store, for the example and the tests: measured_boot opens files and the TPM itself.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test/trust.toml @ONLY CONTENT
"# An operator's trust store: modules of this key may run in the agent's own process, where host.in_process names them.
format = 1

[[key]]
name = \"@VMSEC_SIGNING_NAME@\"
public_key = \"@vmsec_public_key@\"
roles = [\"module\", \"plugin\", \"in-process\"]
")
file(CHMOD ${PROJECT_BINARY_DIR}/test/trust.toml PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
install(FILES ${PROJECT_BINARY_DIR}/test/trust.toml DESTINATION ${CMAKE_INSTALL_DATADIR}/vmsec/examples/two_hosts COMPONENT tools)
install(FILES ${PROJECT_BINARY_DIR}/lib/vmsec/trust.toml DESTINATION ${CMAKE_INSTALL_LIBDIR}/vmsec COMPONENT library)

function(vmsec_sign target kind)
  add_custom_command(TARGET ${target} POST_BUILD VERBATIM
    COMMAND ${PROJECT_SOURCE_DIR}/script/sign_object ${kind} $<TARGET_FILE:${target}> ${vmsec_key} ${VMSEC_SIGNING_NAME})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${vmsec_key} ${PROJECT_SOURCE_DIR}/script/sign_object)
endfunction()
