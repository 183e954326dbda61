#include "measured_boot.hpp"

VMSEC_MODULE(vmsec::boot::MeasuredBoot, R"(
name = "measured_boot"
version = "0.1.0"
summary = "Proves by TPM quotes what hosts have booted, and compares it with a reference"
provides = ["vmsec.Attestation", "vmsec.GuestAttestation", "vmsec.PeerHandler"]
needs = ["vmsec.BootEvidence", "vmsec.Peers", "vmsec.Records", "vmsec.Journal"]
asks = []
in_process = true
)");
