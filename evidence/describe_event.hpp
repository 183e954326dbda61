// The describer's parts: each tells of a family of event types.
#pragma once

#include "describe.hpp"
#include "event_types.hpp"

namespace vmsec::boot {

// Whether an event's type is known, stands in a PCR where the specification has it, and has the digests
// that its data leads to, where the specification says how.
void check_rules(const Event& event, Description& description);
// Whether every digest that can be computed here is that of these bytes.
bool is_digest_of(const Event& event, std::string_view bytes);

void describe_no_action(const Event& event, Description& description);
void describe_separator(const Event& event, Description& description);
void describe_firmware(const Event& event, Description& description);  // CRTM, blobs, tables, POST codes
void describe_variable(const Event& event, Description& description);
void describe_image(const Event& event, const GrubWords& grub, std::uint32_t& images, Description& description);
void describe_gpt(const Event& event, Description& description);
void describe_ipl(const Event& event, GrubWords& grub, Description& description);
void describe_tag(const Event& event, Description& description);

inline std::string in_bytes(std::uint64_t count) { return std::to_string(count) + (count == 1 ? " byte" : " bytes"); }

}  // namespace vmsec::boot
