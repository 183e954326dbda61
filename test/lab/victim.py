"""The guest whose migrations are cut, and what it takes to move it."""
GUEST = "victim"
POLICY = """\
version = 1
[[grant]]
module = "migration"
vm = "vic*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
"""
