"""What a source that was taken over may ask of the destination's libvirt, and must not get."""
import dataclasses
import re

from . import libvirt_rpc as rpc


@dataclasses.dataclass
class Request:
    what: str
    call: bytes
    audited: tuple  # words that the audit record must hold
    stage: str = "opened"  # what has gone well before: "joined", "opened", "prepared"
    leaves: bool = False  # hangs up at once, without waiting for the answer


@dataclasses.dataclass
class Bystander:
    """What is at the destination already, and is not the ticket's."""
    name: str
    uuid: str
    secret: str
    pool: str
    pool_uuid: str
    folder: str  # where files would appear


def new_domain(name):
    return (f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory>"
            "<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>"
            "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>")


def procedures(by):
    """Calls of libvirt that are no part of a migration: number, arguments. Well formed: libvirtd itself would do them."""
    dom = rpc.domain(by.name, by.uuid)
    pool = rpc.text(by.pool) + rpc.identity(by.pool_uuid)
    secret = rpc.identity(by.secret) + rpc.number(0) + rpc.text("")
    volume = "<volume><name>planted.img</name><capacity>65536</capacity></volume>"
    listed = [
        ("list domains", 273, rpc.number(1) + rpc.number(0)),
        ("look up another domain", 23, rpc.text(by.name)),
        ("get another domain's XML", 14, dom + rpc.number(1)),
        ("define domain", 11, rpc.text(new_domain("planted-defined"))),
        ("define domain, with flags", 350, rpc.text(new_domain("planted-flags")) + rpc.number(0)),
        ("create domain", 10, rpc.text(new_domain("planted-created")) + rpc.number(0)),
        ("attach device", 8, dom + rpc.text("<watchdog model='i6300esb' action='none'/>")),
        ("set autostart", 29, dom + rpc.number(1)),
        ("suspend another domain", 34, dom),
        ("resume another domain", 28, dom),
        ("peek into its memory", 104, dom + rpc.long(0) + rpc.number(64) + rpc.number(2)),
        ("dump its memory to a file", 53, dom + rpc.text(f"{by.folder}/core") + rpc.number(4)),
        ("open console", 201, dom + rpc.number(0) + rpc.number(0)),
        ("set a user's password", 357, dom + rpc.optional("root") + rpc.optional("x") + rpc.number(0)),
        ("create snapshot", 185, dom + rpc.text("<domainsnapshot/>") + rpc.number(16)),
        ("rebase block device", 266, dom + rpc.text("vda") + rpc.optional(f"{by.folder}/copy") + rpc.long(0) + rpc.number(8)),
        ("register for domain events", 316, rpc.number(0) + rpc.number(0)),
        ("create storage pool", 76, rpc.text(f"<pool type='dir'><name>planted</name><target><path>{by.folder}</path></target></pool>")
         + rpc.number(0)),
        ("create storage volume", 93, pool + rpc.text(volume) + rpc.number(0)),
        ("look up storage volume", 97, rpc.text("/etc/shadow")),
        ("define secret", 142, rpc.text("<secret ephemeral='no' private='no'/>") + rpc.number(0)),
        ("get secret", 145, secret + rpc.number(0)),
        ("create node device", 123, rpc.text("<device><parent>computer</parent></device>") + rpc.number(0)),
        ("detach node device", 118, rpc.text("pci_0000_00_00_0")),
        ("define network", 41, rpc.text("<network><name>planted</name></network>")),
        ("define network filter", 180, rpc.text("<filter name='planted'/>")),
        ("migrate begin", 302, dom + rpc.parameters([]) + rpc.number(0)),
        ("migrate prepare tunnel", 304, rpc.parameters([]) + rpc.opaque(b"") + rpc.number(0)),
        ("migrate perform", 305, dom + rpc.optional("qemu+unix:///system?socket=/nobody") + rpc.parameters([]) + rpc.opaque(b"")
         + rpc.number(rpc.PEER2PEER)),
        ("undefine domain", 35, dom),
        ("save another domain to a file", 55, dom + rpc.text(f"{by.folder}/saved")),
        ("destroy another domain", 12, dom),
    ]
    out = [Request(what, rpc.message(number, arguments), (f"procedure {number}",)) for what, number, arguments in listed]
    out.insert(4, Request("QEMU monitor command", rpc.message(1, dom + rpc.text("info version") + rpc.number(1), rpc.QEMU),
                          ("(QEMU), procedure 1 (monitor command)",)))
    return out


def misuses(name, uuid, xml, by):
    """The migration's own calls, but not as a migration makes them."""
    good_cookie = rpc.cookie(name, uuid)
    evil = re.sub(r"<emulator>[^<]*", "<emulator>/bin/sh", xml)
    other = xml.replace(uuid, by.uuid)
    flags = rpc.LIVE | rpc.PEER2PEER | rpc.PAUSED
    called = ("procedure 303 (migrate prepare)",)
    finished = ("procedure 306 (migrate finish)",)
    return [
        Request("connect to qemu:///session", rpc.connect_open("qemu:///session"), ("procedure 1 (connect open)",), "joined"),
        Request("connect to test:///default", rpc.connect_open("test:///default"), ("procedure 1 (connect open)",), "joined"),
        Request("prepare another UUID", rpc.prepare(other, name, good_cookie), called),
        Request("prepare another name", rpc.prepare(xml, by.name, good_cookie), called),
        Request("prepare XML with another emulator", rpc.prepare(evil, name, good_cookie), called),
        Request("prepare on a TCP port", rpc.prepare(xml, name, good_cookie, uri="tcp://0.0.0.0:49152"), called),
        Request("prepare with disks' URI", rpc.prepare(xml, name, good_cookie, more=[("disks_uri", "unix:///tmp/x")]), called),
        Request("prepare to run, not paused", rpc.prepare(xml, name, good_cookie, flags=rpc.LIVE | rpc.PEER2PEER), called),
        Request("prepare with storage copy", rpc.prepare(xml, name, good_cookie, flags=flags | 64), called),
        Request("prepare, parameter of no text", rpc.prepare(xml, name, good_cookie, more=[(b"\xff\xfe\"\\", "x")]), called),
        Request("cookie of another UUID", rpc.prepare(xml, name, rpc.cookie(name, by.uuid)), (*called, "qemu-migration/uuid")),
        Request("cookie with an NBD port", rpc.prepare(xml, name, rpc.cookie(name, uuid, "<nbd port='1'/>")),
                (*called, "qemu-migration/nbd")),
        Request("finish before prepare", rpc.finish(name), finished),
        Request("second prepare", rpc.prepare(xml, name, good_cookie, serial=9), called, "prepared"),
        Request("finish of another domain", rpc.finish(by.name), finished, "prepared"),
        Request("finish to run, not paused", rpc.finish(name, flags=rpc.LIVE | rpc.PEER2PEER), finished, "prepared"),
        Request("keep a definition with another emulator", rpc.finish(name, rpc.cookie(name, uuid, evil)),
                (*finished, "domain/devices/emulator"), "prepared"),
        Request("a call with descriptors", rpc.message(11, kind=rpc.CALL_WITH_FDS), ("procedure 11", "is not a call")),
        Request("libvirtd's own administration", rpc.message(1, rpc.optional(None), rpc.ADMIN), ("program 0x6900690, procedure 1",)),
        Request("a message of 2 GiB", rpc.number(0x7fffffff) + bytes(24), ("2147483647",)),
        Request("define domain, and hang up", rpc.message(11, rpc.text(new_domain("planted-fast"))), ("procedure 11",),
                leaves=True),
    ]


def configurations(xml, folder):
    """Domains beyond the destination's policy: what, XML, the place that the audit record names. Each has a ticket."""
    def device(element):
        return xml.replace("</devices>", element + "</devices>")

    def changed(pattern, by):
        out, count = re.subn(pattern, lambda _: by, xml, count=1, flags=re.S)
        assert count == 1, pattern
        return out

    disk = ("<disk type='{}' device='disk'><driver name='qemu' type='raw'/><source {}='{}'/><backingStore/>"
            "<target dev='vdz' bus='virtio'/></disk>")
    qemu = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-version'/></qemu:commandline>"
    root = "domain/devices/"
    return [
        ("another emulator", changed("<emulator>[^<]*", "<emulator>/bin/sh"), f"{root}emulator"),
        ("a PCI device of the host", device("<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' "
                                            "bus='0' slot='0' function='0'/></source></hostdev>"), f"{root}hostdev[pci]"),
        ("a USB device of the host", device("<hostdev mode='subsystem' type='usb'><source><vendor id='1'/></source></hostdev>"),
         f"{root}hostdev[usb]"),
        ("a host file as disk", device(disk.format("file", "file", "/etc/shadow")), f"{root}disk[file]/source/@file"),
        ("a host file by way of ..", device(disk.format("file", "file", f"{folder}/../../etc/shadow")),
         f"{root}disk[file]/source/@file"),
        ("a host's block device as disk", device(disk.format("block", "dev", "/dev/sda")), f"{root}disk[block]/source/@dev"),
        ("a disk of the network", device(disk.format("network", "protocol", "nbd")), f"{root}disk[network]"),
        ("a serial port to a host file", device("<serial type='file'><source path='/etc/cron.d/x'/></serial>"),
         f"{root}serial[file]/source/@path"),
        ("a serial port to a host device", device("<serial type='dev'><source path='/dev/tty0'/></serial>"), f"{root}serial[dev]"),
        ("a channel to a host socket", device("<channel type='unix'><source mode='connect' path='/run/libvirt/libvirt-sock'/>"
                                              "<target type='virtio' name='x'/></channel>"), f"{root}channel[unix]/source"),
        ("a console over TCP", device("<serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/></serial>"),
         f"{root}serial[tcp]"),
        ("a folder of the host", device("<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>"),
         f"{root}filesystem"),
        ("shared memory of the host", device("<shmem name='x'><model type='ivshmem-plain'/></shmem>"), f"{root}shmem"),
        ("a network card with a script", device("<interface type='ethernet'><script path='/bin/sh'/></interface>"),
         f"{root}interface[ethernet]/script"),
        ("a network card on a host's card", device("<interface type='direct'><source dev='vmsec0'/></interface>"),
         f"{root}interface[direct]"),
        ("a screen on every address", device("<graphics type='vnc' port='5999' listen='0.0.0.0'/>"),
         f"{root}graphics[vnc]/@listen"),
        ("the host's TPM", device("<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>"),
         f"{root}tpm/backend[passthrough]"),
        ("randomness from a host file", device("<rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>"),
         f"{root}rng/backend[random]"),
        ("QEMU's command line", xml.replace("</domain>", qemu + "</domain>"), "domain/commandline"),
        ("a kernel of the host", changed("<kernel>[^<]*", "<kernel>/etc/shadow"), "domain/os/kernel"),
        ("firmware of the peer's choice", xml.replace("</os>", "<loader type='rom'>/tmp/x</loader></os>"), "domain/os/loader"),
        ("memory in a host file", changed("<source type='memfd'/>", "<source type='file'/>"), "domain/memoryBacking/source/@type"),
        ("a security label of the peer's choice", xml.replace("</domain>", "<seclabel type='none'/></domain>"),
         "domain/seclabel[none]"),
        ("a group of the host's", xml.replace("<os>", "<resource><partition>/system</partition></resource><os>"),
         "domain/resource/partition"),
        ("another UUID", changed("<uuid>........", "<uuid>00000000"), "domain/uuid"),
        ("another name", changed("<name>[^<]*", "<name>bystander"), "domain/name"),
        ("two names", xml.replace("<os>", "<name>bystander</name><os>"), "domain/name"),
        ("an entity", "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/shadow'>]>" + xml, "entity"),
    ]
