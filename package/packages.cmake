# What each package is called, says of itself and needs beyond what its objects link.
set(control ${CMAKE_CURRENT_SOURCE_DIR}/debian)

set(others "")
foreach(other IN ITEMS vmsec-tools vmsec-modules vmsec-plugin-sim vmsec-plugin-kvm vmsec-plugin-xen)
  # dpkg looks at Depends of what it configures, and at Breaks also when it unpacks this one.
  list(APPEND others "${other} (<< ${VMSEC_PACKAGE_VERSION})" "${other} (>> ${VMSEC_PACKAGE_VERSION})")
endforeach()
vmsec_package(library libvmsec0 libs "security framework for virtual machines (library)"
"vmsec puts security functions below the guests of more than one hypervisor:
modules decide, plugins act, the core introduces them.

This package holds the core, the store of the keys whose modules it loads, and
the program that a module runs in."
  BREAKS ${others} CONTROL ${control}/library/triggers ${CMAKE_CURRENT_BINARY_DIR}/debian/library/shlibs)

vmsec_package(dev libvmsec-dev libdevel "security framework for virtual machines (development)"
"Headers, CMake package and pkg-config file: for control planes that link
libvmsec, and for security modules, which link nothing of it."
  DEPENDS libprotozero-dev RECOMMENDS vmsec-tools vmsec-plugin-sim)
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)

vmsec_package(plugin_sim vmsec-plugin-sim admin "security framework for virtual machines (simulated hypervisor)"
"The plugin for the simulated hypervisor, whose domains have real bytes and no
guest: to try vmsec, and to test modules."
  SUGGESTS swtpm)

if(TARGET vmsec_plugin_kvm)
  vmsec_package(plugin_kvm vmsec-plugin-kvm admin "security framework for virtual machines (KVM)"
"The plugin for QEMU's domains, through libvirt."
    DEPENDS iproute2 RECOMMENDS libvirt-daemon-system)
endif()

if(TARGET vmsec_plugin_xen)
  vmsec_package(plugin_xen vmsec-plugin-xen admin "security framework for virtual machines (Xen)"
"The plugin for Xen's domains, through libxl. It loosens the sandbox of the
vmsecd service: libxl starts device models and runs hotplug scripts there."
    DEPENDS iproute2 RECOMMENDS xen-utils-4.17)
endif()

vmsec_package(modules vmsec-modules admin "security framework for virtual machines (modules)"
"The security modules that come with vmsec: isolation of resources, throttling
of disks and networks, encrypted migration, and measured boot."
  RECOMMENDS libtss2-tcti-device0)

if(TARGET vmsec-guest)
  vmsec_package(guest vmsec-guest admin "security framework for virtual machines (agent of guests)"
"The agent that runs in a virtual machine: proves to the host by the machine's
TPM what was booted, and takes secrets that are for a trusted boot alone. It
needs nothing else of vmsec."
    DEPENDS libtss2-tcti-device0)
endif()

vmsec_package(tools vmsec-tools admin "security framework for virtual machines (programs)"
"The command line and the agent of a host, vmsecd, with its service. The service
is neither enabled nor started: /etc/vmsec/vmsecd.toml says first what it
serves."
  RECOMMENDS vmsec-modules "vmsec-plugin-kvm | vmsec-plugin-xen | vmsec-plugin-sim" SUGGESTS bash-completion
  CONTROL ${control}/tools/conffiles ${control}/tools/postinst ${control}/tools/prerm ${control}/tools/postrm
          ${CMAKE_CURRENT_BINARY_DIR}/debian/tools/triggers)
