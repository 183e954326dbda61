"""A host's audit log, read while it grows."""
import json
import pathlib
import threading


class AuditLog:
    """Any thread."""

    def __init__(self, state):
        self.file = pathlib.Path(state) / "audit.log"
        self.records = []
        self.seen = 0
        self.lock = threading.Lock()

    def look(self):
        """Reads what was added; answers all records so far."""
        with self.lock, open(self.file, "rb") as log:
            log.seek(self.seen)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self.seen += len(line)
                self.records.append(json.loads(line))
            return list(self.records)

    def refusals(self, peer, words, actions=(), since=0):
        """Records of what was refused to this peer, that hold all these words; `since`: so many records are old."""
        return [record for record in self.look()[since:]
                if record.get("outcome") == "refused" and (not actions or record["action"] in actions)
                and peer in record["peer"] and all(word in record["detail"] for word in words)]
