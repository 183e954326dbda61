"""What both hypervisors' ways share: asking vmsec, and what its report says."""
from lab.agent import CommandFailed

POLICY = """\
version = 1
[[grant]]
module = "migration"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""
MODULE = {"attestation": "none", "encryption": "allow-none"}
STATUS = ("cipher", "streams", "bytes_sent", "guest_bytes", "total_time", "downtime", "local_cpu", "peer_cpu")


class MigrationFailed(Exception):
    """This cell has no figures, and why."""


def migrate(agent, name, destination, ticket, way, max_downtime=0):
    """By `vmsec migrate`; its report."""
    bulk = ["--bulk-channels", way.streams if way.streams > 1 else 0]
    aim = ["--max-downtime", f"{max_downtime} ms"] if max_downtime else []
    try:
        status = agent.vmsec("migrate", name, "--to", destination, "--ticket", ticket, "--cipher", way.cipher, *bulk, *aim)
    except CommandFailed as failure:
        raise MigrationFailed(str(failure)) from None
    if status["state"] != "completed":
        raise MigrationFailed(f"vmsec migrate: {status['cause']}")
    return status


def reported(status):
    """The part of a report that is kept, under vmsec's own names."""
    return {key: status.get(key) for key in STATUS} | {"transfer": status.get("transfer")}
